// Images on this host and in the catalog.
import { Badge, Button, Group } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useRead } from '../../api/query.ts';
import type { Output } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes } from '../../ui/format.ts';
import { Empty, Loaded, Page, Panel } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

type Image = Output<'image.list'>[number];
const nameOf = ({ names, digest }: Image) => names[0] ?? digest.slice(0, 12);

export function ImagesPage() {
  const images = useRead('image.list', {});
  const catalog = useRead('image.catalog', {});
  return (
    <Page
      title={text.images.title}
      actions={
        <>
          <OperationButton id="image.import" title={text.images.import} show={['path', 'name', 'firmware']}>
            {text.images.import}
          </OperationButton>
          <OperationButton id="image.pull" variant="filled" title={text.images.pull} show={['image', 'name']}>
            {text.images.pull}
          </OperationButton>
        </>
      }
    >
      <Loaded query={images}>
        {(list) => (
          <Table
            label={text.images.title}
            rows={list}
            rowKey={({ digest }) => digest}
            nameOf={nameOf}
            filterText={({ names, kind, arch }) => [...names, kind, arch].join(' ')}
            sortedBy={{ id: 'name' }}
            empty={<Empty title={text.images.empty} help={text.images.emptyHelp} />}
            columns={[
              {
                id: 'name',
                header: text.common.name,
                by: nameOf,
                cell: ({ names }) =>
                  names.length > 0 ? <strong>{names.join(', ')}</strong> : <span className="quiet">{text.images.unnamed}</span>,
              },
              { id: 'kind', header: text.images.kind, by: ({ kind }) => kind, cell: ({ kind, arch }) => `${kind} · ${arch}`, wide: true },
              {
                id: 'virtual',
                header: text.images.virtual,
                by: ({ virtualBytes }) => virtualBytes,
                cell: ({ virtualBytes }) => bytes(virtualBytes),
                end: true,
                wide: true,
              },
              {
                id: 'size',
                header: text.common.size,
                by: ({ sizeBytes }) => sizeBytes,
                cell: ({ sizeBytes }) => bytes(sizeBytes),
                end: true,
              },
              {
                id: 'used',
                header: text.images.usedBy,
                by: ({ usedBy }) => usedBy.length,
                cell: ({ usedBy }) => <span title={usedBy.join(', ')}>{text.vms.counts(usedBy.length)}</span>,
                wide: true,
              },
              {
                id: 'created',
                header: text.common.created,
                by: ({ createdAt }) => createdAt,
                cell: ({ createdAt }) => <Ago at={createdAt} />,
                wide: true,
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: (image) => (
                  <Group gap={4} justify="flex-end" wrap="nowrap">
                    <Button component={Link} to="/create" search={{ image: nameOf(image) } as never} size="compact-xs" variant="subtle">
                      {text.vms.create}
                    </Button>
                    <OperationButton
                      id="image.remove"
                      fixed={{ image: image.digest }}
                      size="compact-xs"
                      variant="subtle"
                      color="red"
                      direct
                      question={`${text.common.remove}: ${nameOf(image)}?`}
                      reason={image.usedBy.length > 0 ? `${text.images.usedBy}: ${image.usedBy.slice(0, 5).join(', ')}` : undefined}
                    >
                      {text.common.remove}
                    </OperationButton>
                  </Group>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      <Panel title={text.images.catalog} padding={0}>
        <Loaded query={catalog}>
          {(list) => (
            <Table
              label={text.images.catalog}
              rows={list}
              rowKey={({ name }) => name}
              empty={<Empty title={text.common.nothing} />}
              columns={[
                { id: 'name', header: text.common.name, cell: ({ name }) => <strong>{name}</strong> },
                { id: 'summary', header: text.common.details, cell: ({ summary }) => summary, wide: true },
                { id: 'arch', header: text.vm.arch, cell: ({ arch }) => arch.join(', '), wide: true },
                {
                  id: 'actions',
                  header: text.common.actions,
                  end: true,
                  cell: ({ name, present }) =>
                    present ? (
                      <Badge variant="light">{text.images.here}</Badge>
                    ) : (
                      <OperationButton
                        id="image.pull"
                        fixed={{ image: name }}
                        size="compact-sm"
                        direct
                        done={text.common.done(`${text.images.pull} ${name}`)}
                      >
                        {text.images.pull}
                      </OperationButton>
                    ),
                },
              ]}
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  );
}
