// To the page that creates a VM, with the reason where the user may not.
import { useNavigate } from '@tanstack/react-router';
import { useReason } from '../../api/may.ts';
import { text } from '../../language/index.ts';
import { ReasonButton } from '../../ui/reason.tsx';

export function CreateButton() {
  const navigate = useNavigate();
  return (
    <ReasonButton variant="filled" reason={useReason('vm.create')} onClick={() => void navigate({ to: '/create' })}>
      {text.vms.create}
    </ReasonButton>
  );
}
