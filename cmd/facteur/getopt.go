package main

import (
	"fmt"
	"strings"
)

// option is an option of a command line in the old style, with its value.
type option struct {
	letter byte
	value  string
}

// getopt reads a command line as getopt(3) does: spec names the options, with a colon
// after those that have a value; options may stand behind operands, up to "--".
func getopt(args []string, spec string) (options []option, operands []string, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return options, append(operands, args...), nil
		case len(word) < 2 || word[0] != '-':
			operands = append(operands, word)
			continue
		}
		for letters := word[1:]; letters != ""; {
			c := letters[0]
			letters = letters[1:]
			at := strings.IndexByte(spec, c)
			if at < 0 || c == ':' {
				return nil, nil, fmt.Errorf("invalid option -- '%c'", c)
			}
			if at+1 == len(spec) || spec[at+1] != ':' {
				options = append(options, option{letter: c})
				continue
			}
			if letters == "" {
				if len(args) == 0 {
					return nil, nil, fmt.Errorf("option requires an argument -- '%c'", c)
				}
				letters, args = args[0], args[1:]
			}
			options = append(options, option{c, letters})
			letters = ""
		}
	}
	return options, operands, nil
}
