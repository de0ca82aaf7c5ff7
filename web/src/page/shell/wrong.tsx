// A page that is not there, or does not work.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { text } from '../../language/index.ts';
import { Empty, Failure, Page } from '../../ui/page.tsx';

const Back = () => (
  <Button component={Link} to="/" variant="default">
    {text.errors.back}
  </Button>
);

export const NotFound = () => <Empty title={text.errors.noPage} action={<Back />} />;

export const PageError = ({ error }: { error: unknown }) => (
  <Page title={text.errors.page}>
    <Failure error={error} />
    <Back />
  </Page>
);
