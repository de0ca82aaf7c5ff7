// A text (or several) that a schema takes only where its parser can read it; the parser's sentence is what is said otherwise.
import type { z } from 'zod';

/** For `superRefine`. @param parse throws a VivError with the sentence */
export const readableBy =
  <T>(parse: (value: T) => unknown) =>
  (value: T, context: z.RefinementCtx): void => {
    try {
      parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  };
