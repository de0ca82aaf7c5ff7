// Name, password and, where the user has set them up, a one-time or recovery code. The page and the dialog over an ended session share it.
import { Alert, Button, PasswordInput, Stack, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { VivError } from '../../../../src/contract/errors.ts';
import { call, messageOf } from '../../api/call.ts';
import { text } from '../../language/index.ts';

export function SignInForm({ user: fixed, onDone }: { user?: string | undefined; onDone: () => void }) {
  const [user, setUser] = useState(fixed ?? '');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [needsCode, setNeedsCode] = useState(false);
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await call('session.create', { user, password, ...(needsCode && code ? { code } : {}), into: 'cookie' });
      onDone();
    } catch (thrown) {
      const asksForCode = thrown instanceof VivError && thrown.details?.['needs'] === 'code';
      setNeedsCode(needsCode || asksForCode);
      if (!asksForCode || needsCode) setError(messageOf(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack gap="sm">
        {error && (
          <Alert color="red" variant="light" role="alert">
            {error}
          </Alert>
        )}
        <TextInput
          label={text.session.user}
          autoComplete="username"
          required
          readOnly={fixed !== undefined}
          data-autofocus
          value={user}
          onChange={({ currentTarget }) => setUser(currentTarget.value)}
        />
        <PasswordInput
          label={text.session.password}
          autoComplete="current-password"
          required
          value={password}
          onChange={({ currentTarget }) => setPassword(currentTarget.value)}
        />
        {needsCode && (
          <TextInput
            label={text.session.code}
            description={text.session.codeHelp}
            autoComplete="one-time-code"
            inputMode="text"
            required
            autoFocus
            value={code}
            onChange={({ currentTarget }) => setCode(currentTarget.value)}
          />
        )}
        <Button type="submit" loading={busy} fullWidth mt={4}>
          {text.session.submit}
        </Button>
      </Stack>
    </form>
  );
}
