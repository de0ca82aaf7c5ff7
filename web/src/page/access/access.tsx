// Who may do what: users, roles, projects, tokens, sessions.
import { Tabs } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { text } from '../../language/index.ts';
import { Page } from '../../ui/page.tsx';
import { ProjectsTab } from './projects.tsx';
import { RolesTab } from './roles.tsx';
import { SessionsTab } from './sessions.tsx';
import { TokensTab } from './tokens.tsx';
import { UsersTab } from './users.tsx';

const tabs = { users: UsersTab, roles: RolesTab, projects: ProjectsTab, tokens: TokensTab, sessions: SessionsTab } as const;
type Name = keyof typeof tabs;

export function AccessPage() {
  const { tab = 'users' } = useSearch({ strict: false }) as { tab?: Name };
  const navigate = useNavigate();
  const Shown = tabs[tab] ?? UsersTab;
  return (
    <Page title={text.access.title}>
      <Tabs value={tab} onChange={(value) => void navigate({ to: '/access', search: { tab: value } as never })}>
        <Tabs.List mb="md" style={{ flexWrap: 'nowrap', overflowX: 'auto', overflowY: 'hidden' }}>
          {(Object.keys(tabs) as Name[]).map((name) => (
            <Tabs.Tab key={name} value={name}>
              {text.access[name]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={tab}>
          <Shown />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}
