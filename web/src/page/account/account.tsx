// One's own account: password and second factor.
import { Alert, Button, Code, Group, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { act } from '../../api/act.ts';
import { useMe } from '../../api/may.ts';
import { useRead } from '../../api/query.ts';
import { text } from '../../language/index.ts';
import { Page, Panel } from '../../ui/page.tsx';
import { Sheet } from '../../ui/sheet.tsx';

export function AccountPage() {
  const me = useMe().data;
  const user = useRead('user.show', { user: me?.user ?? '' }, { enabled: typeof me?.user === 'string' });
  return (
    <Page title={text.account.title}>
      <Panel>
        <Sheet
          rows={[
            [text.account.signedInAs, me?.name],
            [text.account.roles, me?.roles.map(({ role, on }) => (on === 'host' ? role : `${role} (${on})`)).join(', ')],
          ]}
        />
      </Panel>
      {user.data && <Password user={user.data.name} has={user.data.signIn.password} />}
      {user.data && <OneTimeCodes user={user.data.name} on={user.data.signIn.totp} />}
    </Page>
  );
}

function Password({ user, has }: { user: string; has: boolean }) {
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await act('user.password', { user, password, ...(has ? { current } : {}) }, text.account.changed))) return;
    setCurrent('');
    setPassword('');
  };
  return (
    <Panel title={text.account.password}>
      <form onSubmit={(event) => void submit(event)}>
        <Stack maw={380} gap="sm">
          {has && (
            <PasswordInput
              label={text.account.current}
              required
              autoComplete="current-password"
              value={current}
              onChange={({ currentTarget }) => setCurrent(currentTarget.value)}
            />
          )}
          <PasswordInput
            label={text.session.newPassword}
            description={text.session.passwordHelp}
            required
            minLength={12}
            autoComplete="new-password"
            value={password}
            onChange={({ currentTarget }) => setPassword(currentTarget.value)}
          />
          <Group>
            <Button type="submit">{text.account.change}</Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  );
}

function OneTimeCodes({ user, on }: { user: string; on: boolean }) {
  const [secret, setSecret] = useState<string>();
  const [code, setCode] = useState('');
  const [recovery, setRecovery] = useState<readonly string[]>();
  const begin = async () => setSecret((await act('user.totp-begin', { user }))?.secret);
  const confirm = async (event: FormEvent) => {
    event.preventDefault();
    const output = await act('user.totp-confirm', { user, code });
    if (!output) return;
    setRecovery(output.recoveryCodes);
    setSecret(undefined);
  };
  return (
    <Panel title={text.account.totp}>
      <Stack gap="sm" maw={520}>
        <Text fz="sm">{on ? text.account.totpOn : text.account.totpOff}</Text>
        {recovery && (
          <Alert color="teal" variant="light" title={text.account.recovery}>
            <Text fz="sm" mb="xs">
              {text.account.recoveryHelp}
            </Text>
            <Code block>{recovery.join('\n')}</Code>
          </Alert>
        )}
        {!on && !secret && !recovery && (
          <Group>
            <Button variant="default" onClick={() => void begin()}>
              {text.account.totpBegin}
            </Button>
          </Group>
        )}
        {secret && (
          <form onSubmit={(event) => void confirm(event)}>
            <Stack gap="sm">
              <Text fz="sm">{text.account.totpSecret}</Text>
              <Code block>{secret}</Code>
              <TextInput
                label={text.account.totpCode}
                required
                inputMode="numeric"
                autoComplete="one-time-code"
                value={code}
                onChange={({ currentTarget }) => setCode(currentTarget.value)}
                maw={200}
              />
              <Group>
                <Button type="submit">{text.account.totpConfirm}</Button>
              </Group>
            </Stack>
          </form>
        )}
      </Stack>
    </Panel>
  );
}
