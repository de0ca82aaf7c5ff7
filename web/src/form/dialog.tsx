// A dialog made from an operation's contract: its fields, what it costs, the same request elsewhere, and the button that sends it.
import { Alert, Button, Code, Collapse, Group, Modal, Stack, Text, UnstyledButton } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { call, messageOf } from '../api/call.ts';
import { changed } from '../api/live.ts';
import type { Id } from '../api/types.ts';
import { text } from '../language/index.ts';
import { Waiting } from '../ui/page.tsx';
import { commandOf, sdkOf } from './command.ts';
import { type Described, fieldsOf, loadContract } from './contract.ts';
import { FormField } from './field.tsx';
import { readValues, type Values } from './values.ts';

export interface OperationDialogProps {
  readonly id: Id;
  readonly title?: string | undefined;
  /** Fields that are given and not shown. */
  readonly fixed?: Values;
  /** Fields that are filled in to begin with. */
  readonly first?: Values;
  /** Fields shown at once, in this order; others are behind one more click. Default: the required ones and the first few. */
  readonly show?: readonly string[];
  readonly onClose: () => void;
  readonly onDone?: ((output: unknown) => void) | undefined;
}

export function OperationDialog({ id, title, fixed = {}, first = {}, show, onClose, onDone }: OperationDialogProps) {
  const [operation, setOperation] = useState<Described>();
  const [values, setValues] = useState<Values>(first);
  const [error, setError] = useState<string>();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const [more, setMore] = useState(false);
  useEffect(() => void loadContract().then((table) => setOperation(table.get(id))), [id]);

  const fields = operation ? fieldsOf(operation).filter(({ name }) => !(name in fixed)) : [];
  const shown = show
    ? show.flatMap((name) => fields.find((field) => field.name === name) ?? [])
    : fields.length <= 7
      ? fields
      : fields.filter(({ required }, index) => required || index < 4);
  const hidden = fields.filter((field) => !shown.includes(field));
  const { input } = readValues(fields, values, fixed);
  const dangerous = operation?.risk === 'loss' || operation?.risk === 'disruption';

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const read = readValues(fields, values, fixed);
    setErrors(read.errors);
    if (Object.keys(read.errors).length > 0) return;
    setBusy(true);
    setError(undefined);
    try {
      const output = await call(id, read.input as never);
      changed(id.split('.')[0] ?? '');
      onDone?.(output);
      onClose();
    } catch (thrown) {
      setError(messageOf(thrown));
    } finally {
      setBusy(false);
    }
  };
  const one = (field: (typeof fields)[number]) => (
    <FormField
      key={field.name}
      field={field}
      operation={id}
      value={values[field.name]}
      error={errors[field.name]}
      onChange={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
    />
  );
  return (
    <Modal
      opened
      onClose={onClose}
      title={title ?? operation?.summary ?? id}
      size="lg"
      closeButtonProps={{ 'aria-label': text.common.close }}
    >
      {!operation ? (
        <Waiting />
      ) : (
        <form onSubmit={(event) => void submit(event)}>
          <Stack gap="sm">
            {title && (
              <Text fz="sm" c="dimmed">
                {operation.summary}
              </Text>
            )}
            {error && (
              <Alert color="red" variant="light" role="alert">
                {error}
              </Alert>
            )}
            {shown.map(one)}
            {hidden.length > 0 && (
              <>
                <UnstyledButton fz="sm" fw={600} onClick={() => setMore(!more)} aria-expanded={more}>
                  {more ? '▾' : '▸'} {text.create.expert}
                </UnstyledButton>
                <Collapse expanded={more}>
                  <Stack gap="sm">{more && hidden.map(one)}</Stack>
                </Collapse>
              </>
            )}
            <Elsewhere operation={operation} input={input} />
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={onClose}>
                {text.common.cancel}
              </Button>
              <Button type="submit" loading={busy} {...(dangerous ? { color: 'red' } : {})}>
                {title ?? text.common.save}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

export function Elsewhere({ operation, input }: { operation: Described; input: Values }) {
  const command = commandOf(operation, input);
  return (
    <Stack gap={6}>
      <Text fz="xs" c="dimmed" fw={600}>
        {text.create.equivalent}
      </Text>
      {command && (
        <Code block aria-label={text.create.command}>
          {command}
        </Code>
      )}
      <Code block aria-label={text.create.sdk}>
        {sdkOf(operation, input)}
      </Code>
    </Stack>
  );
}

/** A question before something that interrupts or destroys. */
export function ConfirmDialog({
  question,
  help,
  yes,
  onYes,
  onClose,
  children,
}: {
  question: string;
  help?: string;
  yes: string;
  onYes: () => Promise<unknown> | unknown;
  onClose: () => void;
  children?: React.ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const accept = async () => {
    setBusy(true);
    await onYes();
    onClose();
  };
  return (
    <Modal opened onClose={onClose} title={question} role="alertdialog" closeButtonProps={{ 'aria-label': text.common.close }}>
      <Stack gap="md">
        {help && <Text fz="sm">{help}</Text>}
        {children}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text.common.cancel}
          </Button>
          <Button color="red" loading={busy} data-autofocus onClick={() => void accept()}>
            {yes}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
