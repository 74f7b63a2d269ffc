package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func completionCommand() *command {
	return &command{
		name: "completion", args: "bash|zsh|fish", short: "print a shell's completion script",
		example: []string{"lastgood completion bash > /etc/bash_completion.d/lastgood"},
		run: func(_ context.Context, e *env, _ any, args []string) error {
			if len(args) != 1 {
				return usagef("which shell? bash, zsh or fish")
			}
			script, err := completion(args[0])
			if err != nil {
				return err
			}
			fmt.Fprint(e.stdout, script)
			return nil
		},
	}
}

// completion writes a script from the command table, so that it never drifts.
func completion(shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion(), nil
	case "zsh":
		return "#compdef lastgood\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(), nil
	case "fish":
		return fishCompletion(), nil
	}
	return "", usagef("no completion for %q: bash, zsh or fish", shell)
}

// words are what may follow a command: its commands and its options.
func words(c *command) []string {
	var list []string
	for _, s := range c.sub {
		list = append(list, s.name)
	}
	if c.flags != nil {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		c.flags(fs)
		fs.VisitAll(func(f *flag.Flag) { list = append(list, "--"+f.Name) })
	}
	return list
}

func bashCompletion() string {
	var b strings.Builder
	r := root()
	fmt.Fprintf(&b, "_lastgood() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words\n    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n")
	for _, c := range r.sub {
		for _, s := range c.sub {
			if list := words(s); len(list) > 0 {
				fmt.Fprintf(&b, "    %q*) words=%q ;;\n", c.name+" "+s.name, strings.Join(list, " "))
			}
		}
		fmt.Fprintf(&b, "    %q*) words=%q ;;\n", c.name+" ", strings.Join(words(c), " "))
	}
	fmt.Fprintf(&b, "    *) words=%q ;;\n    esac\n", strings.Join(words(r), " "))
	b.WriteString("    if [ \"$COMP_CWORD\" = 1 ]; then words=\"" + strings.Join(words(r), " ") + "\"; fi\n")
	b.WriteString("    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\ncomplete -o default -F _lastgood lastgood\n")
	return b.String()
}

func fishCompletion() string {
	var b strings.Builder
	offer := func(seen string, words []string) {
		for _, w := range words {
			kind := "-a"
			option, flagged := strings.CutPrefix(w, "--")
			if flagged {
				kind, w = "-l", option
			}
			fmt.Fprintf(&b, "complete -c lastgood -n '%s' %s %s\n", seen, kind, w)
		}
	}
	for _, c := range root().sub {
		fmt.Fprintf(&b, "complete -c lastgood -n __fish_use_subcommand -a %s -d %q\n", c.name, c.short)
		seen := "__fish_seen_subcommand_from " + c.name
		offer(seen, words(c))
		for _, s := range c.sub {
			offer(seen+"; and __fish_seen_subcommand_from "+s.name, words(s))
		}
	}
	return b.String()
}
