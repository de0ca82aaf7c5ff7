// The sign-in page.
import { queryClient } from '../../api/query.ts';
import { renewed } from '../../api/session.ts';
import { text } from '../../language/index.ts';
import { SignInForm } from './form.tsx';
import { Frame } from './frame.tsx';

export function SignInPage() {
  const done = () => {
    renewed();
    void queryClient.resetQueries();
  };
  return (
    <Frame title={text.session.title} foot={text.session.onHost}>
      <SignInForm onDone={done} />
    </Frame>
  );
}
