package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"facteur/internal/app/moving"
	"facteur/internal/net/imapc"
)

func (c *command) importIMAP() *cobra.Command {
	m := &mailImport{c: c, kind: "imap"}
	var startTLS, plain, passwordStdin bool
	var passwordFile, roots string
	cmd := m.flags(&cobra.Command{
		Use:   "imap HOST[:PORT] USER ADDRESS",
		Short: "Bring the messages of an account at another server",
		Long: "The connection has TLS from the start (port 993), and the server's certificate is\n" +
			"checked. A server that is busy or goes away is asked again." + importLong,
		Example: "  facteur import imap imap.example.com alice alice@example.org --password-file /root/alice",
		Args:    takes("HOST", "USER", "ADDRESS"),
	})
	f := cmd.Flags()
	f.StringVar(&m.into, "mailbox", "", "put everything into the mailbox `NAME`")
	f.StringSliceVar(&m.only, "only", nil, "only these mailboxes, by their `NAMES` here")
	f.BoolVar(&passwordStdin, "password-stdin", false, "read the password from the first line of the standard input")
	f.StringVar(&passwordFile, "password-file", "", "read the password from the first line of a `FILE`")
	f.StringVar(&roots, "ca", "", "believe only certificates that were issued by those in this `FILE`")
	f.BoolVar(&startTLS, "starttls", false, "begin TLS with STARTTLS, on port 143")
	f.BoolVar(&plain, "no-tls", false, "send everything, the password too, so that everybody on the way can read it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s := &moving.IMAP{User: args[1], Security: imapc.TLS, Note: func(text string) { fmt.Fprintln(c.err, text) }}
		port := "993"
		switch {
		case startTLS && plain:
			return errors.New("--starttls or --no-tls")
		case startTLS:
			s.Security, port = imapc.StartTLS, "143"
		case plain:
			s.Security, port = imapc.Plain, "143"
		}
		host := args[0]
		if h, p, err := net.SplitHostPort(host); err == nil {
			host, port = h, p
		}
		s.Address = net.JoinHostPort(strings.Trim(host, "[]"), port)
		s.TLS = &tls.Config{ServerName: strings.Trim(host, "[]"), MinVersion: tls.VersionTLS12}
		var err error
		if s.TLS.RootCAs, err = rootsIn(roots); err == nil {
			s.Password, err = c.foreignPassword(passwordStdin, passwordFile)
		}
		if err != nil {
			return err
		}
		return m.run(cmd.Context(), s, args[2])
	}
	return cmd
}

// rootsIn reads certificates; the system's without a file.
func rootsIn(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it", file)
	}
	return pool, nil
}

// foreignPassword reads the password at another server: asked for once.
func (c *command) foreignPassword(fromStdin bool, file string) (string, error) {
	if fromStdin {
		return firstLine(c.in)
	}
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return firstLine(f)
	}
	terminal, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", errNoTerminal
	}
	return c.ask(terminal, "Password there: ")
}
