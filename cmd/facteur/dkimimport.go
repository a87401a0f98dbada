package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/app/takeover"
	"facteur/internal/store/dkimkey"
)

func (c *command) dkimImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Take over the keys of an opendkim: its opendkim.conf, or its KeyTable",
		Long: "Take over the keys of an opendkim: FILE is its opendkim.conf, or its KeyTable. Their\n" +
			"records are in the DNS already, so they sign at once. Whom they sign for beside their\n" +
			"own domain (SigningTable) is printed as [[dkim_key]] for the settings file.\n\n" +
			"The exit status is 1 when a key could not be taken over.",
		Example: "  facteur dkim import /etc/opendkim.conf",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, remarks, err := takeover.ReadOpenDKIM(args[0])
			if err != nil {
				return err
			}
			for _, r := range remarks {
				fmt.Fprintln(c.err, "facteur: "+printable(r))
			}
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return c.importKeys(ctx, o, keys) })
		},
	}
}

func (c *command) importKeys(ctx context.Context, o control.Office, keys []takeover.OpenDKIMKey) error {
	failed := false
	for _, k := range keys {
		if k.Err == nil && k.Own { // else it would take the place of that which signs for its domain
			_, k.Err = o.ChangeKeys(ctx, control.KeyOrder{Domain: k.Domain, Action: control.ImportKey, Selector: k.Selector, PEM: string(k.Text), State: dkimkey.Active})
		}
		if k.Err != nil {
			failed = true
			fmt.Fprintln(c.err, printable(fmt.Sprintf("facteur: %s._domainkey.%s (%s): %v", k.Selector, k.Domain, k.File, k.Err)))
			continue
		}
		if k.Own {
			fmt.Fprintln(c.out, printable(fmt.Sprintf("# %s._domainkey.%s signs", k.Selector, k.Domain)))
		}
		if len(k.For) > 0 {
			fmt.Fprintf(c.out, "[[dkim_key]]\ndomain = %q\nselector = %q\nfile = %q\nfor = [%s]\n", k.Domain, k.Selector, k.File, quotedList(k.For))
		}
	}
	if failed {
		return &toolError{1}
	}
	return nil
}

func quotedList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(quoted, ", ")
}
