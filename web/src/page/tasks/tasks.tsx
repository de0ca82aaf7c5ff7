// Tasks with their steps. A failed one stays here after its notification has gone.
import { Alert, Modal, Stack, Text, UnstyledButton } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { taskLimit } from '../../api/live.ts';
import { useRead } from '../../api/query.ts';
import type { Task } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { duration, moment } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { Sheet } from '../../ui/sheet.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';
import { Ago } from '../../ui/time.tsx';
import { TaskLine } from './line.tsx';

const filterText = ({ operation, target, state, error }: Task) => [operation, target ?? '', state, error?.message ?? ''].join(' ');

export function TasksPage() {
  const tasks = useRead('task.list', taskLimit);
  const navigate = useNavigate();
  const { task: shown } = useSearch({ strict: false }) as { task?: string };
  const open = (task?: string) => void navigate({ to: '/tasks', search: (task ? { task } : {}) as never });
  return (
    <Page title={text.tasks.title}>
      <Loaded query={tasks}>
        {(list) => (
          <Table
            label={text.tasks.title}
            rows={list}
            rowKey={({ id }) => id}
            filterText={filterText}
            sortedBy={{ id: 'began', down: true }}
            empty={<Empty title={text.tasks.empty} />}
            columns={[
              {
                id: 'operation',
                header: text.tasks.operation,
                by: ({ operation }) => operation,
                cell: ({ id, operation }) => (
                  <UnstyledButton className="link mono" onClick={() => open(id)}>
                    {operation}
                  </UnstyledButton>
                ),
              },
              { id: 'target', header: text.tasks.target, by: ({ target }) => target, cell: ({ target }) => target },
              {
                id: 'state',
                header: text.common.state,
                by: ({ state }) => state,
                cell: (task) => (task.state === 'running' ? <TaskLine task={task} /> : <State state={task.state} />),
              },
              {
                id: 'why',
                header: text.tasks.error,
                cell: ({ error }) =>
                  error && (
                    <span className="cut" style={{ display: 'block' }} title={error.message}>
                      {error.message}
                    </span>
                  ),
                wide: true,
              },
              {
                id: 'began',
                header: text.tasks.began,
                by: ({ createdAt }) => createdAt,
                cell: ({ createdAt }) => <Ago at={createdAt} />,
                end: true,
                wide: true,
              },
              {
                id: 'took',
                header: text.tasks.took,
                by: (task) => took(task),
                cell: (task) => (took(task) === null ? '' : duration(took(task) ?? 0)),
                end: true,
                wide: true,
              },
            ]}
          />
        )}
      </Loaded>
      {shown !== undefined && <TaskDialog id={shown} onClose={() => open()} />}
    </Page>
  );
}

const took = ({ createdAt, endedAt }: Task): number | null => (endedAt === null ? null : endedAt - createdAt);

function TaskDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useRead('task.show', { task: id });
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={query.data ? `${query.data.operation} ${query.data.target ?? ''}` : text.tasks.title}
      closeButtonProps={{ 'aria-label': text.common.close }}
    >
      <Loaded query={query}>
        {(task) => (
          <Stack gap="md">
            <Sheet
              rows={[
                [text.common.state, <State key="state" state={task.state} />],
                [text.tasks.began, moment(task.createdAt)],
                took(task) !== null && [text.tasks.took, duration(took(task) ?? 0)],
                [
                  text.vm.id,
                  <span key="id" className="mono">
                    {task.id}
                  </span>,
                ],
              ]}
            />
            {task.error && (
              <Alert color="red" variant="light" title={text.tasks.error}>
                {task.error.message}
                <Text fz="sm" mt={6}>
                  {task.undoError ? `${text.tasks.notUndone}: ${task.undoError}` : text.tasks.undone}
                </Text>
              </Alert>
            )}
            {task.state === 'running' && <TaskLine task={task} />}
            <div>
              <Text fz="sm" fw={600} mb={6}>
                {text.tasks.steps}
              </Text>
              <ol style={{ margin: 0, paddingLeft: 20 }}>
                {task.steps.map(({ name, state, startedAt, endedAt }, index) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: steps have no other identity, and keep their order
                  <li key={index}>
                    <Text fz="sm" span mr="sm">
                      {name}
                    </Text>
                    <State state={state} activity={state === 'running' ? text.state['running'] : undefined} />
                    {startedAt !== null && endedAt !== null && (
                      <Text fz="xs" c="dimmed" span ml="sm">
                        {duration(endedAt - startedAt)}
                      </Text>
                    )}
                  </li>
                ))}
              </ol>
            </div>
            {task.log.length > 0 && (
              <div>
                <Text fz="sm" fw={600} mb={6}>
                  {text.tasks.log}
                </Text>
                <pre className="log" style={{ maxHeight: 240 }}>
                  {task.log.join('\n')}
                </pre>
              </div>
            )}
            {task.state === 'running' && (
              <OperationButton id="task.cancel" fixed={{ task: task.id }} direct color="red" variant="light">
                {text.tasks.cancel}
              </OperationButton>
            )}
          </Stack>
        )}
      </Loaded>
    </Modal>
  );
}
