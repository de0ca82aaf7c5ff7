// Mantine's theme: the console's colours, sizes and defaults.
import { createTheme, type MantineColorsTuple, Modal } from '@mantine/core';

const teal: MantineColorsTuple = [
  '#e3fafc',
  '#c5f0f4',
  '#99e1ea',
  '#66d0de',
  '#3bbccd',
  '#17a2b5',
  '#0c7d8f',
  '#0b7080',
  '#095c69',
  '#074852',
];
const dark: MantineColorsTuple = [
  '#d9dde3',
  '#b8bfc9',
  '#9aa3af',
  '#727d8b',
  '#444e5b',
  '#333c48',
  '#262d37',
  '#1e242c',
  '#16191d',
  '#101317',
];

export const theme = createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 7, dark: 6 },
  colors: { teal, dark },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
  headings: { fontWeight: '650', sizes: { h1: { fontSize: '1.55rem' }, h2: { fontSize: '1.15rem' }, h3: { fontSize: '1rem' } } },
  cursorType: 'pointer',
  components: {
    // The page scrolls behind a dialog: no style has to be put into it.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, overlayProps: { backgroundOpacity: 0.45 } } }),
  },
});
