// Runs knip, which finds files, exports and dependencies that nothing uses. It needs TypeScript's compiler API, which version 7 no longer has.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) => next(specifier === 'typescript' ? 'typescript6' : specifier, context),
});
// Named as a path: knip exports no entry for its command.
await import(new URL('../node_modules/knip/bin/knip.js', import.meta.url).href);
