// Projects with what they use of their quotas.
import { Stack } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes } from '../../ui/format.ts';
import { Empty, Loaded } from '../../ui/page.tsx';
import { Table } from '../../ui/table.tsx';

const shown = { vms: 'VMs', vcpus: 'vCPUs', memoryBytes: 'RAM', diskBytes: 'Disk' } as const;

export function ProjectsTab() {
  const projects = useRead('project.list', {});
  const create = (
    <OperationButton
      id="project.create"
      variant="filled"
      title={text.access.createProject}
      show={['project', 'summary', 'vms', 'memoryBytes']}
    >
      {text.access.createProject}
    </OperationButton>
  );
  return (
    <Stack>
      <div>{create}</div>
      <Loaded query={projects}>
        {(list) => (
          <Table
            label={text.access.projects}
            rows={list}
            rowKey={({ id }) => id}
            empty={<Empty title={text.access.emptyProjects} help={text.access.emptyProjectsHelp} />}
            columns={[
              { id: 'name', header: text.common.name, by: ({ name }) => name, cell: ({ name }) => <strong>{name}</strong> },
              { id: 'summary', header: text.common.details, cell: ({ summary }) => summary, wide: true },
              {
                id: 'quotas',
                header: text.access.quotas,
                cell: ({ quotas, used }) =>
                  (Object.keys(shown) as (keyof typeof shown)[])
                    .map((quota) => {
                      const write = (value: number) => (quota.endsWith('Bytes') ? bytes(value) : String(value));
                      const limit = quotas[quota];
                      return `${shown[quota]} ${write(used[quota] ?? 0)}${limit === null ? '' : ` / ${write(limit)}`}`;
                    })
                    .join(' · '),
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name }) => (
                  <>
                    <OperationButton
                      id="project.assign"
                      title={text.common.add}
                      fixed={{ project: name }}
                      size="compact-xs"
                      variant="subtle"
                    >
                      {text.common.add}
                    </OperationButton>
                    <OperationButton id="project.set" fixed={{ project: name }} size="compact-xs" variant="subtle">
                      {text.common.edit}
                    </OperationButton>
                    <OperationButton
                      id="project.remove"
                      fixed={{ project: name }}
                      size="compact-xs"
                      variant="subtle"
                      color="red"
                      direct
                      question={`${text.common.remove}: ${name}?`}
                    >
                      {text.common.remove}
                    </OperationButton>
                  </>
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </Stack>
  );
}
