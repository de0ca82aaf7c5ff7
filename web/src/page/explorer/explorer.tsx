// The API explorer: every operation of openapi.json as this host serves it, and a form that tries it.
import { Anchor, Badge, Box, Code, Grid, Group, Stack, Table, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import type { Id } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded, Page, Panel } from '../../ui/page.tsx';

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly permission: string;
  readonly risk: string;
  readonly transport: string;
  readonly parameters: readonly { name: string; in: string; required: boolean; description?: string }[];
  readonly body: unknown;
  readonly answer: unknown;
}
type Json = Record<string, unknown>;

async function load(): Promise<Operation[]> {
  const answer = await fetch('/v1/openapi.json');
  const { paths } = (await answer.json()) as { paths: Record<string, Record<string, Json>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: String(operation['operationId']),
      method: method.toUpperCase(),
      path,
      summary: String(operation['summary']),
      permission: String(operation['x-permission']),
      risk: String(operation['x-risk']),
      transport: String(operation['x-transport']),
      parameters: (operation['parameters'] as Operation['parameters']) ?? [],
      body: operation['requestBody'] ?? operation['x-first-frame'] ?? null,
      answer: (operation['responses'] as Json)['200'] ?? null,
    })),
  );
}

const colors: Record<string, string> = { GET: 'blue', POST: 'teal', PUT: 'orange', PATCH: 'orange', DELETE: 'red' };

export function ExplorerPage() {
  const query = useQuery({ queryKey: ['openapi'], queryFn: load, staleTime: Number.POSITIVE_INFINITY });
  const { operation: picked } = useSearch({ strict: false }) as { operation?: string };
  const navigate = useNavigate();
  const [filter, setFilter] = useState('');
  return (
    <Page
      title={text.api.title}
      actions={
        <Anchor href="/v1/openapi.json" className="link" fz="sm">
          {text.api.description}
        </Anchor>
      }
    >
      <Text fz="sm" c="dimmed">
        {text.api.help}
      </Text>
      <Loaded query={query}>
        {(all) => {
          const words = filter.toLowerCase();
          const shown = all.filter(({ id, summary, path }) => `${id} ${summary} ${path}`.toLowerCase().includes(words));
          const operation = all.find(({ id }) => id === picked);
          return (
            <Grid gap="md">
              <Grid.Col span={{ base: 12, md: 5 }}>
                <Panel>
                  <TextInput
                    aria-label={text.api.filter}
                    placeholder={text.api.filter}
                    value={filter}
                    onChange={({ currentTarget }) => setFilter(currentTarget.value)}
                    mb="sm"
                  />
                  <Box className="table-scroll" style={{ maxHeight: 560 }}>
                    {shown.map(({ id, method, summary }) => (
                      <UnstyledButton
                        key={id}
                        className="nav-link"
                        w="100%"
                        aria-current={id === picked ? 'page' : undefined}
                        onClick={() => void navigate({ to: '/api', search: { operation: id } as never })}
                      >
                        <Badge size="xs" variant="light" color={colors[method] ?? 'gray'} w={58} style={{ flex: 'none' }}>
                          {method}
                        </Badge>
                        <span className="grow">
                          <span className="mono">{id}</span>
                          <Text fz="xs" c="dimmed" className="cut">
                            {summary}
                          </Text>
                        </span>
                      </UnstyledButton>
                    ))}
                  </Box>
                </Panel>
              </Grid.Col>
              <Grid.Col span={{ base: 12, md: 7 }}>
                <Panel>{operation ? <Description operation={operation} /> : <Empty title={text.api.pick} />}</Panel>
              </Grid.Col>
            </Grid>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Description({ operation }: { operation: Operation }) {
  const { id, method, path, summary, permission, risk, transport, parameters, body, answer } = operation;
  const [output, setOutput] = useState<unknown>();
  return (
    <Stack gap="sm" key={id}>
      <Group justify="space-between">
        <Text fw={650}>{id}</Text>
        {transport === 'json' && (
          <OperationButton id={id as Id} title={text.api.try} size="xs" variant="filled" onDone={setOutput}>
            {text.api.try}
          </OperationButton>
        )}
      </Group>
      <Text fz="sm">{summary}</Text>
      <Code block>{`${method} ${path}`}</Code>
      <Text fz="sm" c="dimmed">
        {text.api.permission}: {permission} · {text.api.risk}: {risk}
        {transport !== 'json' && ` · ${transport}`}
      </Text>
      {transport !== 'json' && <Text fz="sm">{text.api.stream}</Text>}
      {parameters.length > 0 && (
        <Table fz="sm" aria-label={text.api.parameters}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{text.common.name}</Table.Th>
              <Table.Th>{text.common.details}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {parameters.map(({ name, in: where, required, description }) => (
              <Table.Tr key={name}>
                <Table.Td>
                  <span className="mono">{name}</span> {required && '*'} <span className="quiet">{where}</span>
                </Table.Td>
                <Table.Td>{description}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {output !== undefined && <Schema title={text.api.answer} value={output} />}
      {body !== null && <Schema title="Body" value={body} />}
      {answer !== null && output === undefined && <Schema title={text.api.answer} value={answer} />}
    </Stack>
  );
}

const Schema = ({ title, value }: { title: string; value: unknown }) => (
  <div>
    <Text fz="sm" fw={600} mb={4}>
      {title}
    </Text>
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by the keyboard */}
    <pre className="log" style={{ maxHeight: 320 }} tabIndex={0}>
      {JSON.stringify(value, null, 2)}
    </pre>
  </div>
);
