// Security groups and their rules.
import { Badge, Group, Stack, Text } from '@mantine/core';
import { useRead } from '../../api/query.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { Empty, Loaded, Page, Panel } from '../../ui/page.tsx';

export function GroupsPage() {
  const groups = useRead('security-group.list', {});
  const create = (
    <OperationButton id="security-group.create" variant="filled" title={text.groups.create}>
      {text.groups.create}
    </OperationButton>
  );
  return (
    <Page title={text.groups.title} actions={create}>
      <Loaded query={groups}>
        {(list) =>
          list.length === 0 ? (
            <Panel>
              <Empty title={text.groups.empty} help={text.groups.emptyHelp} action={create} />
            </Panel>
          ) : (
            <Stack gap="md">
              {list.map((group) => {
                const fixed = { securityGroup: group.name };
                return (
                  <Panel
                    key={group.name}
                    title={group.name}
                    actions={
                      <>
                        <OperationButton id="security-group.allow" title={text.groups.allow} fixed={fixed} size="compact-sm">
                          {text.groups.allow}
                        </OperationButton>
                        <OperationButton id="security-group.set" fixed={fixed} size="compact-sm">
                          {text.common.edit}
                        </OperationButton>
                        <OperationButton
                          id="security-group.remove"
                          fixed={fixed}
                          size="compact-sm"
                          variant="subtle"
                          color="red"
                          direct
                          question={`${text.common.remove}: ${group.name}?`}
                        >
                          {text.common.remove}
                        </OperationButton>
                      </>
                    }
                  >
                    <Stack gap={6}>
                      {group.rules.length === 0 && (
                        <Text fz="sm" c="dimmed">
                          {text.groups.noRules}
                        </Text>
                      )}
                      {group.rules.map((rule) => (
                        <Group key={rule} gap="sm" justify="space-between" wrap="nowrap">
                          <span className="mono">{rule}</span>
                          <OperationButton
                            id="security-group.revoke"
                            fixed={{ ...fixed, rule }}
                            size="compact-xs"
                            variant="subtle"
                            direct
                            question={`${text.groups.revoke}: ${rule}?`}
                          >
                            {text.groups.revoke}
                          </OperationButton>
                        </Group>
                      ))}
                      <Group gap="xs" mt={4}>
                        <Badge variant="light" color="gray">{`${text.groups.in}: ${group.in}`}</Badge>
                        <Badge variant="light" color="gray">{`${text.groups.out}: ${group.out}`}</Badge>
                        <Text fz="xs" c="dimmed">
                          {text.groups.members}:{' '}
                          {group.nics.length === 0 ? text.common.none : group.nics.map(({ vm, nic }) => `${vm} ${nic}`).join(', ')}
                        </Text>
                      </Group>
                    </Stack>
                  </Panel>
                );
              })}
            </Stack>
          )
        }
      </Loaded>
    </Page>
  );
}
