// A control that cannot be used says why: it stays reachable by keyboard and shows the reason on hover and focus.
import { Button, type ButtonProps, Menu, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';

export interface ReasonButtonProps extends ButtonProps {
  /** Why not; undefined: it can be used. */
  readonly reason?: string | undefined;
  readonly onClick: () => void;
  readonly children: ReactNode;
  readonly 'aria-label'?: string;
}

export function ReasonButton({ reason, onClick, children, ...props }: ReasonButtonProps) {
  const button = (
    <Button
      variant="default"
      size="sm"
      {...props}
      {...(reason ? { 'data-disabled': true, 'aria-disabled': true, 'aria-description': reason } : {})}
      onClick={(event) => {
        event.preventDefault();
        if (!reason) onClick();
      }}
    >
      {children}
    </Button>
  );
  if (!reason) return button;
  return (
    <Tooltip label={reason} multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
      {button}
    </Tooltip>
  );
}

export function ReasonItem({
  reason,
  onClick,
  children,
  color,
}: {
  reason?: string | undefined;
  onClick: () => void;
  children: ReactNode;
  color?: string;
}) {
  const item = (
    <Menu.Item
      {...(color && !reason ? { color } : {})}
      {...(reason ? { 'aria-disabled': true, 'data-disabled': true, 'aria-description': reason, closeMenuOnClick: false } : {})}
      onClick={() => !reason && onClick()}
    >
      {children}
    </Menu.Item>
  );
  if (!reason) return item;
  return (
    <Tooltip label={reason} position="left" multiline maw={320} events={{ hover: true, focus: true, touch: true }}>
      {item}
    </Tooltip>
  );
}
