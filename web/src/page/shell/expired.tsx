// The session has ended: a dialog over the page, which stays as it is.
import { Button, Modal, Stack, Text } from '@mantine/core';
import { useMe } from '../../api/may.ts';
import { queryClient } from '../../api/query.ts';
import { renewed, useExpired } from '../../api/session.ts';
import { text } from '../../language/index.ts';
import { SignInForm } from '../sign-in/form.tsx';

export function ExpiredDialog() {
  const expired = useExpired();
  const user = useMe().data?.user;
  const done = () => {
    renewed();
    void queryClient.invalidateQueries();
  };
  return (
    <Modal opened={expired} onClose={() => {}} withCloseButton={false} title={text.session.expired} centered zIndex={500}>
      <Stack gap="sm">
        <Text fz="sm" c="dimmed">
          {text.session.expiredHelp}
        </Text>
        <SignInForm user={user ?? undefined} onDone={done} />
        <Button variant="subtle" size="compact-sm" onClick={() => location.replace('/')}>
          {text.session.other}
        </Button>
      </Stack>
    </Modal>
  );
}
