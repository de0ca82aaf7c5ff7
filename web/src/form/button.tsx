// A button for an operation: says why where the user may not, asks for what is missing, and before it destroys something.
import type { ButtonProps } from '@mantine/core';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { act } from '../api/act.ts';
import { operationOf } from '../api/call.ts';
import { useReason } from '../api/may.ts';
import type { Id } from '../api/types.ts';
import { text } from '../language/index.ts';
import { ReasonButton } from '../ui/reason.tsx';
import type { Values } from './values.ts';

const OperationDialog = lazy(() => import('./dialog.tsx').then(({ OperationDialog }) => ({ default: OperationDialog })));
const ConfirmDialog = lazy(() => import('./dialog.tsx').then(({ ConfirmDialog }) => ({ default: ConfirmDialog })));

export interface OperationButtonProps extends ButtonProps {
  readonly id: Id;
  readonly children: ReactNode;
  readonly title?: string;
  readonly fixed?: Values;
  readonly first?: Values;
  readonly show?: readonly string[];
  /** Everything it needs is in `fixed`: it is done without a form. */
  readonly direct?: boolean;
  /** The question before; default: one where it interrupts or destroys. */
  readonly question?: string;
  /** Why not, beyond the user's rights. */
  readonly reason?: string | undefined;
  /** What the rights are asked about, such as vm:web; default: the host. */
  readonly object?: string | undefined;
  readonly done?: string;
  readonly onDone?: (output: unknown) => void;
  readonly 'aria-label'?: string;
}

export function OperationButton(props: OperationButtonProps) {
  const { id, children, title, fixed, first, show, direct, question, reason, object, done, onDone, ...button } = props;
  const [open, setOpen] = useState(false);
  const forbidden = useReason(id, object);
  const { risk } = operationOf(id);
  const asks = direct && (risk === 'loss' || risk === 'disruption' || question !== undefined);
  const name = title ?? (typeof children === 'string' ? children : undefined);
  const go = async () => {
    const output = await act(id, (fixed ?? {}) as never, done);
    if (output !== undefined) onDone?.(output);
  };
  return (
    <>
      <ReasonButton {...button} reason={forbidden ?? reason} onClick={() => (direct && !asks ? void go() : setOpen(true))}>
        {children}
      </ReasonButton>
      <Suspense fallback={null}>
        {open && asks && (
          <ConfirmDialog
            question={question ?? text.common.confirm(name ?? id)}
            help={risk === 'loss' ? text.common.cannotUndo : text.common.interrupts}
            yes={name ?? id}
            onYes={go}
            onClose={() => setOpen(false)}
          />
        )}
        {open && !asks && (
          <OperationDialog
            id={id}
            title={name}
            {...(fixed ? { fixed } : {})}
            {...(first ? { first } : {})}
            {...(show ? { show } : {})}
            onDone={onDone}
            onClose={() => setOpen(false)}
          />
        )}
      </Suspense>
    </>
  );
}
