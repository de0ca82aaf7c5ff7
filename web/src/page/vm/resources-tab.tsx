// Limits and shares as sliders that say what they mean. The rest of the settings is a form of the contract.
import { Group, Slider, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { useRead } from '../../api/query.ts';
import type { Vm } from '../../api/types.ts';
import { OperationButton } from '../../form/button.tsx';
import { text } from '../../language/index.ts';
import { bytes, decimal, percent } from '../../ui/format.ts';
import { Panel } from '../../ui/page.tsx';
import { ReasonButton } from '../../ui/reason.tsx';
import { reasonFor } from './actions.tsx';

const MiB = 2 ** 20;

export function ResourcesTab({ vm }: { vm: Vm }) {
  const { resources, cpus, memoryBytes } = vm;
  const [limit, setLimit] = useState(resources.cpuLimit === 0 ? cpus : Math.min(resources.cpuLimit, cpus));
  const [reservation, setReservation] = useState(resources.cpuReservation);
  const [weight, setWeight] = useState(resources.cpuWeight);
  const [minimum, setMinimum] = useState(resources.memoryMinimumBytes / MiB);
  const [ioWeight, setIoWeight] = useState(resources.ioWeight);
  const [busy, setBusy] = useState(false);
  const explanation = useRead('vm.explain', { vm: vm.id });
  const wished = {
    cpuLimit: limit >= cpus ? 0 : limit,
    cpuReservation: reservation,
    cpuWeight: weight,
    memoryMinimumBytes: Math.round(minimum) * MiB,
    ioWeight,
  };
  const changes = Object.fromEntries(Object.entries(wished).filter(([name, value]) => resources[name as keyof typeof wished] !== value));
  const apply = async () => {
    setBusy(true);
    const output = await act('vm.set', { vm: vm.id, ...changes });
    setBusy(false);
    if (!output) return;
    notifications.show({
      message: text.resources.changed(output.applied.join(', '), output.atNextStart.join(', ')) || text.resources.unchanged,
      color: 'teal',
    });
  };
  return (
    <Stack gap="md">
      <Panel
        title={text.resources.title}
        actions={
          <OperationButton
            id="vm.set"
            title={text.resources.all}
            fixed={{ vm: vm.id }}
            object={`vm:${vm.name}`}
            size="xs"
            show={['cpus', 'memoryBytes', 'diskBytes', 'restart', 'autostart', 'snapshotPolicy']}
          >
            {text.resources.all}
          </OperationButton>
        }
      >
        <Stack gap="xl" maw={720} pb="sm">
          <Knob
            label={text.resources.cpuLimit}
            value={limit}
            most={cpus}
            step={cpus / 100}
            onChange={setLimit}
            says={
              limit >= cpus
                ? text.resources.noCpuLimit
                : `${text.resources.cpuLimitHelp(decimal(limit), percent((limit / cpus) * 100))}. ${text.resources.live}`
            }
            least={cpus / 100}
          />
          <Knob
            label={text.resources.cpuReservation}
            value={reservation}
            most={cpus}
            step={cpus / 100}
            onChange={setReservation}
            says={reservation === 0 ? text.resources.noReservation : text.resources.cpuReservationHelp(decimal(reservation))}
          />
          <Knob
            label={text.resources.cpuWeight}
            value={weight}
            most={1000}
            least={1}
            step={1}
            onChange={setWeight}
            says={text.resources.weightHelp(decimal(weight / 100))}
          />
          <Knob
            label={text.resources.memoryMinimum}
            value={minimum}
            most={memoryBytes / MiB}
            step={16}
            onChange={setMinimum}
            says={minimum === 0 ? text.resources.noReservation : text.resources.memoryMinimumHelp(bytes(minimum * MiB))}
          />
          <Knob
            label={text.resources.ioWeight}
            value={ioWeight}
            most={1000}
            least={1}
            step={1}
            onChange={setIoWeight}
            says={text.resources.weightHelp(decimal(ioWeight / 100))}
          />
          <Group>
            <ReasonButton
              variant="filled"
              loading={busy}
              reason={reasonFor(vm, 'set') ?? (Object.keys(changes).length === 0 ? text.resources.unchanged : undefined)}
              onClick={() => void apply()}
            >
              {text.resources.apply}
            </ReasonButton>
            <Text fz="sm" c="dimmed">
              {text.resources.help}
            </Text>
          </Group>
        </Stack>
      </Panel>
      {explanation.data && explanation.data.holds.length > 0 && (
        <Panel title={text.vm.explain}>
          <Stack gap={4}>
            {[...explanation.data.holds, ...(vm.resourceUse?.notEnforced ?? []).map((one) => `${text.vm.notEnforced}: ${one}`)].map(
              (line) => (
                <Text key={line} fz="sm">
                  {line}
                </Text>
              ),
            )}
          </Stack>
        </Panel>
      )}
    </Stack>
  );
}

interface KnobProps {
  readonly label: string;
  readonly value: number;
  readonly least?: number;
  readonly most: number;
  readonly step: number;
  readonly says: string;
  readonly onChange: (value: number) => void;
}

function Knob({ label, value, least = 0, most, step, says, onChange }: KnobProps) {
  return (
    <div>
      <Group justify="space-between" mb={6}>
        <Text fz="sm" fw={600}>
          {label}
        </Text>
        <Text fz="sm" c="dimmed" aria-hidden>
          {decimal(value)}
        </Text>
      </Group>
      <Slider
        value={value}
        min={least}
        max={most}
        step={step}
        onChange={(next) => onChange(Number(next.toFixed(2)))}
        label={null}
        thumbLabel={label}
        thumbProps={{ 'aria-valuetext': says }}
      />
      <Text fz="xs" c="dimmed" mt={6}>
        {says}
      </Text>
    </div>
  );
}
