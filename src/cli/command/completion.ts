// `viv completion bash|zsh|fish`: a script for the shell. It asks `viv __complete` for the words, so that VMs' names are always the present ones.
import { VivError } from '../../contract/errors.ts';
import { type Command, one } from '../command.ts';
import { quote } from '../render/text.ts';

const scripts: Readonly<Record<string, string>> = {
  bash: `_viv() {
  local IFS=$'\\n' word="\${COMP_WORDS[COMP_CWORD]}" line
  line="\${COMP_LINE:0:COMP_POINT}"
  local -a words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # bash cuts words at ":" and "="; put debian:12 together again
  IFS=' ' read -r -a words <<< "\${line#* }"
  [[ "$line" == *" " ]] && words+=("")
  word="\${words[-1]}"
  IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(viv __complete "\${words[@]}" 2>/dev/null)" -- "$word"))
  local cut="\${word%"\${word##*[:=]}"}"
  [[ -n "$cut" ]] && COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
}
complete -o default -F _viv viv`,
  zsh: `#compdef viv
_viv() {
  local -a found
  found=("\${(@f)$(viv __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("\${(@)found:#}")
  if (( \${#found} )); then compadd -a found; else _files; fi
}
if [[ "\${funcstack[1]}" == _viv ]]; then _viv "$@"; else compdef _viv viv; fi`,
  fish: `function __viv_complete
  set -l words (commandline -opc) (commandline -ct)
  viv __complete $words[2..-1] 2>/dev/null
end
complete -c viv -a '(__viv_complete)'`,
};

export const command: Command = {
  words: 'completion',
  section: 'Shell',
  summary: 'Print the script that completes commands, flags and names in your shell',
  args: [{ field: 'shell', label: 'SHELL', help: 'bash, zsh or fish', optional: false, several: false }],
  flags: [],
  examples: [
    'source <(viv completion bash)',
    'viv completion zsh > ~/.zfunc/_viv',
    'viv completion fish > ~/.config/fish/completions/viv.fish',
  ],
  async run(invocation, context) {
    const shell = one(invocation, 'shell');
    const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
    if (script === undefined) throw new VivError('invalid', `${quote(shell)} is not a supported shell; the shells are bash, zsh and fish`);
    await context.print(script);
    return 0;
  },
};
