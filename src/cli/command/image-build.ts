// `viv image build FILE`: an image from a recipe, a JSON file.
import { sentenceOf } from '../../contract/bound.ts';
import { VivError } from '../../contract/errors.ts';
import { Recipe } from '../../contract/image.ts';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { textOf } from '../new-vm.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';
import { imageName } from '../render/image.ts';
import { clean, quote } from '../render/text.ts';

const shape = shapeOf(operations.image.build, ['recipe']);

/** Throws `invalid` saying which part of the file is wrong. */
export function parseRecipe(text: string, file: string): Recipe {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new VivError('invalid', `${quote(file)} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const result = Recipe.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = issue?.path.length ? `${issue.path.join('.')}: ` : '';
  throw new VivError('invalid', `${quote(file)} is not a recipe: ${place}${issue ? sentenceOf(issue) : 'it is not valid'}`);
}

export const command: Command = {
  ...shape,
  args: [{ field: 'file', label: 'FILE', help: 'Recipe in JSON', optional: false, several: false }],
  notes: [
    'Example of a recipe: {"name": "web", "base": "debian:12", "packages": ["nginx"], "files": [{"path": "/etc/motd", "content": "hello\\n"}], "commands": ["systemctl enable nginx"]}',
  ],
  async run(invocation, context) {
    const file = one(invocation, 'file');
    const recipe = parseRecipe(await textOf(file, 'FILE'), file);
    const { json, ...flags } = invocation.flags;
    const input = { recipe, ...flags };
    checkInput(operations.image.build, input);
    const client = await context.client();
    const image = await perform(context, `build ${recipe.name}`, (options) => client.image.build(input, options));
    await context.print(json === true ? asJson(image) : clean(imageName(image, recipe.name)));
    return 0;
  },
};
