// One field of a form, by its kind. A field that is left empty is not sent: the host's default counts.
import { Autocomplete, JsonInput, NumberInput, PasswordInput, Select, Switch, TagsInput, Textarea, TextInput } from '@mantine/core';
import { text } from '../language/index.ts';
import { bytes, duration } from '../ui/format.ts';
import { type Field, wordsOf } from './contract.ts';
import { useSuggestions } from './suggest.ts';

export interface FieldProps {
  readonly field: Field;
  readonly operation: string;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
  readonly label?: string;
  readonly error?: string | undefined;
}

export function FormField({ field, operation, value, onChange, label, error }: FieldProps) {
  const suggestions = useSuggestions(field.name, operation);
  const common = {
    label: label ?? wordsOf(field.name),
    description: field.help,
    required: field.required,
    ...(error ? { error } : {}),
  };
  const placeholder = standardText(field);
  const written = typeof value === 'string' ? value : '';
  switch (field.kind) {
    case 'boolean':
      return (
        <Switch
          label={common.label}
          description={common.description}
          checked={(value ?? field.standard) === true}
          onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        />
      );
    case 'choice':
      return (
        <Select
          {...common}
          data={[...field.choices]}
          value={(value as string) ?? null}
          placeholder={placeholder}
          clearable={!field.required}
          onChange={(chosen) => onChange(chosen ?? undefined)}
          comboboxProps={{ shadow: 'md' }}
        />
      );
    case 'number':
      return (
        <NumberInput
          {...common}
          value={(value as number) ?? ''}
          placeholder={placeholder}
          onChange={(given) => onChange(given === '' ? undefined : Number(given))}
        />
      );
    case 'list':
      return (
        <TagsInput
          {...common}
          data={[...(suggestions ?? [])]}
          value={((value as unknown[]) ?? []).map(String)}
          splitChars={['\n']}
          acceptValueOnBlur
          placeholder={text.common.pressEnter}
          onChange={(list) => onChange(list.length === 0 ? undefined : field.name === 'trunk' ? list.map(Number) : list)}
        />
      );
    case 'password':
      return (
        <PasswordInput
          {...common}
          autoComplete="new-password"
          value={written}
          onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
        />
      );
    case 'long':
      return (
        <Textarea
          {...common}
          autosize
          minRows={3}
          maxRows={12}
          value={written}
          onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
        />
      );
    case 'json':
    case 'pairs':
      return <JsonInput {...common} autosize minRows={3} formatOnBlur value={written} onChange={(given) => onChange(given || undefined)} />;
    default: {
      const change = (given: string) => onChange(given === '' ? undefined : given);
      if (suggestions)
        return <Autocomplete {...common} data={[...suggestions]} value={written} placeholder={placeholder} onChange={change} />;
      return (
        <TextInput {...common} value={written} placeholder={placeholder} onChange={({ currentTarget }) => change(currentTarget.value)} />
      );
    }
  }
}

function standardText({ standard, kind }: Field): string {
  if (standard === undefined || standard === null || (typeof standard === 'object' && Object.keys(standard).length === 0))
    return kind === 'bytes' ? '2 GiB' : kind === 'duration' ? '30s' : '';
  if (kind === 'bytes') return text.common.defaultValue(bytes(Number(standard)));
  if (kind === 'duration') return text.common.defaultValue(duration(Number(standard)));
  return text.common.defaultValue(String(standard));
}
