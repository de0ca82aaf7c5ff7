// Creating a VM: an image and one more click. Every other option of the contract is behind "All options".
import {
  Alert,
  Box,
  Button,
  Collapse,
  Grid,
  Group,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  TextInput,
  UnstyledButton,
} from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { Link, useNavigate } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { call, messageOf } from '../../api/call.ts';
import { changed } from '../../api/live.ts';
import { useReason } from '../../api/may.ts';
import { useRead } from '../../api/query.ts';
import type { Output } from '../../api/types.ts';
import { type Described, fieldsOf, loadContract } from '../../form/contract.ts';
import { Elsewhere } from '../../form/dialog.tsx';
import { FormField } from '../../form/field.tsx';
import { readValues, type Values } from '../../form/values.ts';
import { text } from '../../language/index.ts';
import { Empty, Loaded, Page, Panel } from '../../ui/page.tsx';
import { ReasonButton } from '../../ui/reason.tsx';

const plain = ['image', 'name', 'cpus', 'memoryBytes', 'diskBytes', 'networks'];
const sizes = {
  small: { cpus: 1, memoryBytes: '1 GiB' },
  medium: { cpus: 2, memoryBytes: '4 GiB' },
  large: { cpus: 4, memoryBytes: '8 GiB' },
} as const;

export function CreatePage() {
  const images = useRead('image.list', {});
  return (
    <Page title={text.create.title}>
      <Loaded query={images}>
        {(list) =>
          list.length === 0 ? (
            <Panel>
              <Empty
                title={text.create.noImages}
                help={text.images.emptyHelp}
                action={
                  <Button component={Link} to="/images">
                    {text.create.pull}
                  </Button>
                }
              />
            </Panel>
          ) : (
            <Form images={list} />
          )
        }
      </Loaded>
    </Page>
  );
}

function Form({ images }: { images: Output<'image.list'> }) {
  const names = images.flatMap(({ kind, names }) => (kind === 'iso' ? [] : names)).sort();
  const wished = new URLSearchParams(location.search).get('image');
  const [values, setValues] = useState<Values>({ image: wished ?? names[0] });
  const [start, setStart] = useState(true);
  const [more, setMore] = useState(false);
  const [error, setError] = useState<string>();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const [table, setTable] = useState<Map<string, Described>>();
  const navigate = useNavigate();
  const reason = useReason('vm.create');
  useEffect(() => void loadContract().then(setTable), []);
  const id = start ? 'vm.run' : 'vm.create';
  const operation = table?.get(id);
  const fields = operation ? fieldsOf(operation) : [];
  const set = (more: Values) => setValues((before) => ({ ...before, ...more }));
  const { input } = readValues(fields, values, {});

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const read = readValues(fields, values, {});
    setErrors(read.errors);
    if (Object.keys(read.errors).length > 0) return;
    setBusy(true);
    setError(undefined);
    try {
      const vm = await call(id, read.input as never);
      changed('vm');
      notifications.show({ message: text.create.created(vm.name), color: 'teal' });
      await navigate({ to: '/vms/$vm/$tab', params: { vm: vm.name, tab: 'overview' } });
    } catch (thrown) {
      setError(messageOf(thrown));
    } finally {
      setBusy(false);
    }
  };
  const fieldNamed = (name: string, label: string) => {
    const field = fields.find((one) => one.name === name);
    return (
      field && (
        <FormField
          field={field}
          label={label}
          operation={id}
          value={values[name]}
          error={errors[name]}
          onChange={(value) => set({ [name]: value })}
        />
      )
    );
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Panel>
            <Stack gap="md">
              {error && (
                <Alert color="red" variant="light" role="alert">
                  {error}
                </Alert>
              )}
              <Select
                label={text.create.image}
                placeholder={text.create.pickImage}
                required
                searchable
                data={names}
                value={(values['image'] as string) ?? null}
                onChange={(image) => set({ image: image ?? undefined })}
                data-autofocus
              />
              <TextInput
                label={text.create.name}
                description={text.create.nameHelp}
                value={(values['name'] as string) ?? ''}
                onChange={({ currentTarget }) => set({ name: currentTarget.value || undefined })}
              />
              <Box>
                <Group gap="xs" mb={8}>
                  {(Object.keys(sizes) as (keyof typeof sizes)[]).map((size) => (
                    <Button key={size} size="compact-sm" variant="default" onClick={() => set(sizes[size])}>
                      {text.create.size[size]}: {sizes[size].cpus} × {sizes[size].memoryBytes}
                    </Button>
                  ))}
                </Group>
                <SimpleGrid cols={{ base: 1, xs: 3 }} style={{ alignItems: 'end' }}>
                  {fieldNamed('cpus', text.create.cpus)}
                  {fieldNamed('memoryBytes', text.create.memory)}
                  {fieldNamed('diskBytes', text.create.disk)}
                </SimpleGrid>
              </Box>
              {fieldNamed('networks', text.create.network)}
              <Switch label={text.create.start} checked={start} onChange={({ currentTarget }) => setStart(currentTarget.checked)} />
              <UnstyledButton fz="sm" fw={600} onClick={() => setMore(!more)} aria-expanded={more}>
                {more ? '▾' : '▸'} {text.create.expert}
              </UnstyledButton>
              <Collapse expanded={more}>
                <Stack gap="sm">
                  {more &&
                    fields
                      .filter(({ name }) => !plain.includes(name))
                      .map((field) => (
                        <FormField
                          key={field.name}
                          field={field}
                          operation={id}
                          value={values[field.name]}
                          error={errors[field.name]}
                          onChange={(value) => set({ [field.name]: value })}
                        />
                      ))}
                </Stack>
              </Collapse>
              <Group justify="flex-end">
                <Button variant="default" component={Link} to="/vms">
                  {text.common.cancel}
                </Button>
                <ReasonButton
                  variant="filled"
                  loading={busy}
                  reason={reason ?? (values['image'] ? undefined : text.create.pickImage)}
                  onClick={() => document.querySelector('form')?.requestSubmit()}
                >
                  {text.create.submit}
                </ReasonButton>
              </Group>
            </Stack>
          </Panel>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Panel>{operation ? <Elsewhere operation={operation} input={input} /> : <Text c="dimmed">{text.common.loading}</Text>}</Panel>
        </Grid.Col>
      </Grid>
    </form>
  );
}
