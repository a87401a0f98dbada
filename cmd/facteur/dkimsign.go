package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/base/conf"
	"facteur/internal/mail/dkim"
)

// dkimSignFlags are how a letter is signed.
type dkimSignFlags struct {
	key, domain, selector     string
	canons, identity, at      string
	headers, oversign, expire string
	field                     bool
}

// addTo adds the flags that each way of signing has.
func (f *dkimSignFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "`file` with the private key in PEM form, RSA or Ed25519")
	flags.StringVar(&f.domain, "domain", "", "`domain` that signs (d=)")
	flags.StringVar(&f.selector, "selector", "", "`name` of the key in the DNS of the domain (s=)")
	flags.StringVar(&f.at, "at", "", "sign as if it were then, `2026-11-22T12:00:00Z`")
	for _, name := range []string{"key", "domain", "selector"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a name of ours is wrong
		}
	}
}

func (c *command) dkimSign() *cobra.Command {
	var f dkimSignFlags
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign a letter in a file, and print it",
		Long: "Sign a letter in a file with a key in a file, and print it with its signature on top;\n" +
			"\"-\" is the standard input. A letter whose lines end at LF gets a signature whose lines do.",
		Args: takes("FILE"),
	}
	f.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.canons, "canonicalization", "relaxed/relaxed", "`form` of header and body that is signed (c=)")
	flags.StringVar(&f.headers, "headers", "", "`names` of the fields to sign, separated by colons (default what facteur signs)")
	flags.StringVar(&f.oversign, "oversign", "", "`names` of the fields that nobody may add, separated by colons; \"-\": From only")
	flags.StringVar(&f.identity, "identity", "", "`address` or @domain that answers for the letter (i=)")
	flags.StringVar(&f.expire, "expire", "", "`time` for which the signature is good, such as 14d (x=)")
	flags.BoolVar(&f.field, "field", false, "print the signature only")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := c.signFile(args[0], f); err != nil {
			return c.unjudged(err)
		}
		return nil
	}
	return cmd
}

func (c *command) signFile(name string, f dkimSignFlags) error {
	key, err := f.readKey()
	if err != nil {
		return err
	}
	form, err := f.form()
	if err != nil {
		return err
	}
	now, err := moment(f.at)
	if err != nil {
		return err
	}
	l, err := c.openLetter(name)
	if err != nil {
		return err
	}
	defer l.Close()
	field, err := signLetter(l, key, form, now)
	if err != nil || f.field {
		return errors.Join(err, c.write(field))
	}
	return errors.Join(c.write(field), c.write(l.header), l.body(c.out))
}

func (c *command) write(b []byte) error {
	_, err := c.out.Write(b)
	return err
}

func signLetter(l *letterFile, key dkim.Key, form dkim.Form, now time.Time) ([]byte, error) {
	body := dkim.NewBody()
	want := form.Wants(body)
	if err := l.body(body); err != nil {
		return nil, err
	}
	field, err := dkim.Sign(l.header, body.Sum(want), key, form, now)
	return l.inItsLines(field), err
}

// inItsLines gives fields the line ends of a letter.
func (l *letterFile) inItsLines(fields []byte) []byte {
	if first, _, found := bytes.Cut(l.header, []byte("\n")); found && !bytes.HasSuffix(first, []byte("\r")) {
		return bytes.ReplaceAll(fields, []byte("\r\n"), []byte("\n"))
	}
	return fields
}

// maxKeyFile is the largest file with a key, in bytes.
const maxKeyFile = 64 << 10

func (f dkimSignFlags) readKey() (dkim.Key, error) {
	key := dkim.Key{Domain: f.domain, Selector: f.selector}
	file, err := os.Open(f.key)
	if err != nil {
		return key, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return key, err
	}
	if key.Private, err = dkim.ParsePrivateKey(text); err != nil {
		return key, fmt.Errorf("%s: %w", f.key, err)
	}
	return key, nil
}

func (f dkimSignFlags) form() (form dkim.Form, err error) {
	var ok bool
	if form.Header, form.Body, ok = dkim.ParseCanons(f.canons); !ok {
		return form, fmt.Errorf("--canonicalization: %q is unknown; expected two of relaxed and simple, such as relaxed/simple", f.canons)
	}
	if f.headers != "" {
		form.Fields = strings.Split(f.headers, ":")
	}
	switch f.oversign {
	case "":
	case "-":
		form.Oversign = []string{}
	default:
		form.Oversign = strings.Split(f.oversign, ":")
	}
	if f.expire != "" {
		var d conf.Duration
		if err := d.UnmarshalText([]byte(f.expire)); err != nil {
			return form, fmt.Errorf("--expire: %w", err)
		}
		form.Expire = d.Std()
	}
	form.Identity = f.identity
	return form, nil
}
