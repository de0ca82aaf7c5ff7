// A link that the host printed: signs in, or sets a password first. The secret is in the fragment, which no server and no log sees; it leaves the address bar
// before anything else happens.
import { Alert, Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { call, messageOf } from '../../api/call.ts';
import { text } from '../../language/index.ts';
import { Waiting } from '../../ui/page.tsx';
import { Frame } from './frame.tsx';

/** A whole new page: whatever was known of another session is gone. */
const enter = () => location.replace('/');

export function LinkPage({ kind, secret: given }: { kind: 'login' | 'setup' | 'recover'; secret: string }) {
  const secret = useRef(given).current;
  const asked = useRef(false);
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState<string>();
  const redeem = (more: { user?: string; password?: string }) =>
    call('session.redeem', { secret, ...more, into: 'cookie' }).then(enter, (thrown: unknown) => setError(messageOf(thrown)));
  useEffect(() => {
    history.replaceState(null, '', location.pathname);
    if (kind !== 'login' || asked.current) return;
    asked.current = true; // it works once
    void redeem({});
  });

  if (kind === 'login')
    return (
      <Frame title={error ? text.session.linkFailed : text.session.linkTitle} foot={text.session.onHost}>
        {error ? (
          <Stack gap="sm">
            <Alert color="red" variant="light" role="alert">
              {error}
            </Alert>
            <Button variant="default" onClick={enter}>
              {text.session.submit}
            </Button>
          </Stack>
        ) : (
          <Waiting />
        )}
      </Frame>
    );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void redeem({ password, ...(kind === 'setup' ? { user } : {}) });
  };
  return (
    <Frame title={kind === 'setup' ? text.session.setUpTitle : text.session.recoverTitle}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {error && (
            <Alert color="red" variant="light" role="alert">
              {error}
            </Alert>
          )}
          {kind === 'setup' && (
            <TextInput
              label={text.session.user}
              autoComplete="username"
              required
              value={user}
              onChange={({ currentTarget }) => setUser(currentTarget.value)}
            />
          )}
          <PasswordInput
            label={text.session.newPassword}
            description={text.session.passwordHelp}
            autoComplete="new-password"
            required
            minLength={12}
            value={password}
            onChange={({ currentTarget }) => setPassword(currentTarget.value)}
          />
          <Button type="submit">{kind === 'setup' ? text.session.setUp : text.session.recover}</Button>
        </Stack>
      </form>
    </Frame>
  );
}
