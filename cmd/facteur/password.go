package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var errNoTerminal = errors.New("there is no terminal to ask for the password on; give it with --password-stdin")

// passwordFlag adds --password-stdin. A password is never an argument: everybody
// on the machine can read those.
func passwordFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("password-stdin", false, "read the password from the first line of the standard input")
}

// hashFlag adds --password-hash.
func hashFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("password-hash", false, "what is read is a hash that another program made, such as \"{SSHA}…\" or \"$6$…\"")
}

// password reads a password from the standard input, or asks for it twice without
// showing it.
func (c *command) password(fromStdin bool) (string, error) {
	if fromStdin {
		return firstLine(c.in)
	}
	file, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", errNoTerminal
	}
	first, err := c.ask(file, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := c.ask(file, "Again: ")
	if err == nil && first != second {
		err = errors.New("the two passwords differ")
	}
	return first, err
}

func (c *command) ask(terminal *os.File, prompt string) (string, error) {
	fmt.Fprint(c.err, prompt)
	defer fmt.Fprintln(c.err)
	text, err := term.ReadPassword(int(terminal.Fd()))
	return string(text), err
}

// firstLine is the first line without its end; the limit is far above that of
// passwords, whose own check then says what is wrong.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}
