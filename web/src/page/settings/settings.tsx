// What this host is and has, how the API is reached, and how the console looks.
import { SegmentedControl, Select, SimpleGrid, Stack, Text, useMantineColorScheme } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { chooseLanguage, chosenLanguage, languages, text } from '../../language/index.ts';
import { bytes, moment } from '../../ui/format.ts';
import { Loaded, Page, Panel } from '../../ui/page.tsx';
import { Sheet } from '../../ui/sheet.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';

export function SettingsPage() {
  const host = useRead('host.show', {});
  const status = useRead('host.status', {});
  const listener = useRead('listener.show', {});
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Page title={text.settings.title}>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Panel title={text.settings.about}>
          <Loaded query={host}>
            {(data) => (
              <Sheet
                rows={[
                  [text.settings.version, status.data?.version],
                  [text.settings.hostname, data.hostname],
                  [text.settings.os, data.os],
                  [text.settings.kernel, data.kernel],
                  [text.settings.cpu, `${data.cpus.model} × ${data.cpus.count}`],
                  [text.overview.memory, bytes(data.memory.totalBytes)],
                  [
                    text.settings.stateDirectory,
                    <span key="state" className="mono">
                      {data.storage.path}
                    </span>,
                  ],
                  status.data && [text.settings.uptime, <Ago key="since" at={status.data.startedAt} />],
                ]}
              />
            )}
          </Loaded>
        </Panel>
        <Stack gap="md">
          <Panel title={text.settings.appearance}>
            <Stack gap="sm" align="flex-start">
              <SegmentedControl
                aria-label={text.scheme.label}
                value={colorScheme}
                onChange={(value) => setColorScheme(value as 'light' | 'dark' | 'auto')}
                data={(['light', 'dark', 'auto'] as const).map((value) => ({ value, label: text.scheme[value] }))}
              />
              <Select
                label={text.settings.language}
                allowDeselect={false}
                value={chosenLanguage()}
                data={Object.entries(languages).map(([value, label]) => ({ value, label }))}
                onChange={(value) => value && chooseLanguage(value as keyof typeof languages)}
              />
            </Stack>
          </Panel>
          <Panel title={text.settings.listener}>
            <Loaded query={listener}>
              {(data) =>
                data === null ? (
                  <Text fz="sm">{text.common.none}</Text>
                ) : (
                  <Sheet
                    rows={[
                      ['URL', data.url],
                      [
                        text.settings.fingerprint,
                        <span key="fingerprint" className="mono">
                          {data.fingerprint}
                        </span>,
                      ],
                      [text.settings.certificateUntil, moment(data.certificateUntil)],
                    ]}
                  />
                )
              }
            </Loaded>
          </Panel>
        </Stack>
      </SimpleGrid>
      <Loaded query={host}>
        {(data) => (
          <>
            <Panel title={text.settings.problems}>
              {data.problems.length === 0 ? (
                <Text fz="sm">{text.settings.noProblems}</Text>
              ) : (
                <Stack gap={6}>
                  {data.problems.map((problem) => (
                    <Text key={problem} fz="sm">
                      {problem}
                    </Text>
                  ))}
                </Stack>
              )}
            </Panel>
            <Panel title={text.settings.accelerators}>
              <Sheet
                rows={data.accelerators.map(
                  ({ name, works, detail }) =>
                    [
                      name.toUpperCase(),
                      <span key={name}>
                        <State state={works ? text.settings.works : text.settings.worksNot} kind={works ? 'good' : 'none'} /> · {detail}
                      </span>,
                    ] as const,
                )}
              />
            </Panel>
            <Panel title={text.settings.programs} padding={0}>
              <Table
                label={text.settings.programs}
                rows={data.programs}
                rowKey={({ name }) => name}
                empty={null}
                columns={[
                  { id: 'name', header: text.common.name, cell: ({ name }) => <strong>{name}</strong> },
                  {
                    id: 'version',
                    header: text.settings.version,
                    cell: ({ version, ok, install }) => (ok ? version : <State state={install ?? text.settings.missing} kind="busy" />),
                  },
                  { id: 'purpose', header: text.settings.purpose, cell: ({ purpose }) => purpose, wide: true },
                ]}
              />
            </Panel>
          </>
        )}
      </Loaded>
    </Page>
  );
}
