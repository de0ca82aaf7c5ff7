// Alerts: when each fires, for what it fires now, and where that is delivered.
import { Badge, Text } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { moment } from '../../ui/format.ts';
import { Empty, Loaded, Page } from '../../ui/page.tsx';
import { State } from '../../ui/state.tsx';
import { Table } from '../../ui/table.tsx';

const colors = { info: 'gray', warning: 'orange', critical: 'red' } as const;

export function AlertsPage() {
  const alerts = useRead('alert.list', {});
  const create = (
    <OperationButton id="alert.create" variant="filled" title={text.alerts.create}>
      {text.alerts.create}
    </OperationButton>
  );
  return (
    <Page title={text.alerts.title} actions={create}>
      <Loaded query={alerts}>
        {(list) => (
          <Table
            label={text.alerts.title}
            rows={list}
            rowKey={({ name }) => name}
            empty={<Empty title={text.alerts.empty} help={text.alerts.emptyHelp} action={create} />}
            columns={[
              { id: 'name', header: text.common.name, by: ({ name }) => name, cell: ({ name }) => <strong>{name}</strong> },
              { id: 'rule', header: text.alerts.rule, cell: ({ rule, vms }) => <span className="mono">{[rule, ...vms].join(' ')}</span> },
              {
                id: 'severity',
                header: text.alerts.severity,
                by: ({ severity }) => severity,
                cell: ({ severity }) => (
                  <Badge variant="light" color={colors[severity]}>
                    {severity}
                  </Badge>
                ),
                wide: true,
              },
              {
                id: 'firing',
                header: text.alerts.firing,
                by: ({ firing }) => firing.length,
                cell: ({ firing, silencedUntil }) => (
                  <>
                    {firing.length === 0 ? (
                      <State state={text.alerts.quiet} />
                    ) : (
                      <State kind="bad" state={firing.map(({ subject }) => subject.name ?? text.overview.host).join(', ')} />
                    )}
                    {silencedUntil !== null && silencedUntil > Date.now() && (
                      <Text fz="xs" c="dimmed">
                        {text.alerts.silenced(moment(silencedUntil))}
                      </Text>
                    )}
                  </>
                ),
              },
              {
                id: 'to',
                header: text.alerts.to,
                wide: true,
                cell: ({ to, deliveries }) => (
                  <>
                    {to.join(', ')}
                    {deliveries.problem && (
                      <Text fz="xs" c="red">
                        {deliveries.problem}
                      </Text>
                    )}
                  </>
                ),
              },
              {
                id: 'actions',
                header: text.common.actions,
                end: true,
                cell: ({ name }) => (
                  <>
                    <OperationButton
                      id="alert.test"
                      fixed={{ alert: name }}
                      size="compact-xs"
                      variant="subtle"
                      direct
                      done={text.common.done(text.alerts.test)}
                    >
                      {text.alerts.test}
                    </OperationButton>
                    <OperationButton
                      id="alert.silence"
                      title={text.alerts.silence}
                      fixed={{ alert: name }}
                      size="compact-xs"
                      variant="subtle"
                    >
                      {text.alerts.silence}
                    </OperationButton>
                    <OperationButton
                      id="alert.remove"
                      fixed={{ alert: name }}
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
    </Page>
  );
}
