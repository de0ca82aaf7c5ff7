// The console's entry: styles with the page's nonce, the language, then the application.
import './styles.css';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { loadLanguage } from './language/index.ts';

export const nonce = document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.content ?? '';

// Libraries that put a <style> into the page (xterm.js, noVNC, Mantine's modals) do not know of the nonce.
const createElement = document.createElement.bind(document);
document.createElement = ((name: string, options?: ElementCreationOptions) => {
  const element = createElement(name, options);
  if (name.toLowerCase() === 'style') element.nonce = nonce;
  return element;
}) as typeof document.createElement;

await loadLanguage();
const root = document.getElementById('root');
if (root) createRoot(root).render(<App nonce={nonce} />);
