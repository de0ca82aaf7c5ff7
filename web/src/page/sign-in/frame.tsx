// What every page before the sign-in looks like.
import { Box, Center, Group, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export const Logo = ({ size = 28 }: { size?: number }) => <img src="/favicon.svg" width={size} height={size} alt="" />;

export function Frame({ title, children, foot }: { title: string; children: ReactNode; foot?: string }) {
  return (
    <Center component="main" mih="100dvh" p="md">
      <Stack w="100%" maw={380} gap="md">
        <Group gap="sm" justify="center">
          <Logo size={36} />
          <Text fw={700} fz={22}>
            Vivarium
          </Text>
        </Group>
        <Box className="panel" p="lg">
          <Title order={1} fz="lg" mb="md">
            {title}
          </Title>
          {children}
        </Box>
        {foot && (
          <Text fz="sm" c="dimmed" ta="center">
            {foot}
          </Text>
        )}
      </Stack>
    </Center>
  );
}
