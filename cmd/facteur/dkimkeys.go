package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/control"
	"facteur/internal/app/records"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

func (c *command) dkimList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list [DOMAIN]",
		Short: "List the keys that sign, and those that did and will",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				keys, err := o.Keys(ctx, named(args))
				if err != nil {
					return err
				}
				return list(c, keys, "DOMAIN SELECTOR ALGORITHM BITS STATE SINCE", func(k control.SigningKey) []any {
					return []any{k.Domain, k.Selector, k.Algorithm, k.Bits, k.State, k.Since.Local().Format(time.DateOnly)}
				})
			})
		},
	})
}

func named(args []string) control.DomainName {
	if len(args) == 0 {
		return control.DomainName{}
	}
	return control.DomainName{Name: args[0]}
}

func (c *command) dkimShow() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "show DOMAIN",
		Short: "Print the records of a domain's keys, as lines of a zone file",
		Long: "Print the records of a domain's keys, as lines of a zone file. A domain of this server\n" +
			"that has no keys gets them. With dkim.cname_zone, the CNAMEs of the domain, and what\n" +
			"stands in that zone.",
		Args: takes("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			domain, err := address.CanonicalDomain(args[0])
			if err != nil {
				return fmt.Errorf("%q is no domain: %w", args[0], err)
			}
			if err := c.ensureKeys(cmd.Context(), domain); err != nil {
				return err
			}
			return c.printKeys(domain)
		},
	})
}

// printKeys prints what is to be in the DNS for the keys of a domain.
func (c *command) printKeys(domain string) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	keys := records.Keys(cfg, domain)
	if c.json {
		return printJSON(c, keys...)
	}
	return records.Write(c.out, keys)
}

// ensureKeys makes keys for a domain of ours that has none, if mail is signed.
func (c *command) ensureKeys(ctx context.Context, domain string) error {
	cfg, err := c.load()
	if err != nil || !cfg.DKIM.Sign {
		return err
	}
	return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		if keys, err := o.Keys(ctx, control.DomainName{Name: domain}); err != nil || len(keys) > 0 {
			return err
		}
		if err := isOurs(ctx, o, domain); err != nil {
			return err
		}
		_, err := o.ChangeKeys(ctx, control.KeyOrder{Domain: domain, Action: control.EnsureKeys})
		return err
	})
}

// firstKeys is ensureKeys for a domain that was just declared: one that can't sign has
// none, and where the server is to make none, neither does this.
func (c *command) firstKeys(ctx context.Context, name string) error {
	cfg, err := c.load()
	if err != nil || !cfg.DKIM.MakeKeys {
		return err
	}
	domain, err := dkim.Domain(strings.TrimSuffix(name, "."))
	if err != nil {
		return nil
	}
	return c.ensureKeys(ctx, domain)
}

func isOurs(ctx context.Context, o control.Office, domain string) error {
	domains, err := o.Domains(ctx)
	for _, d := range domains {
		if d.Name == domain {
			return nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s is not a domain of this server", domain)
	}
	return err
}

// checked is a key beside what the DNS shows of it.
type checked struct {
	control.SigningKey
	Seen   string `json:"seen"`
	Advice string `json:"advice"`
}

func (c *command) dkimCheck() *cobra.Command {
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "check [DOMAIN]",
		Short: "Compare the keys with what the DNS shows of them",
		Long: "Compare the keys with what every name server of the settings shows of them. A key whose\n" +
			"record is seen by all goes on as the running server would let it.\n\n" +
			"The exit status is 0 when all is as it should be, 1 when a record is missing or wrong,\nand 2 when it can not be known.",
		Args: cobra.MaximumNArgs(1),
	}))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rows, status, err := c.checkKeys(cmd.Context(), args)
		if err == nil {
			err = list(c, rows, "DOMAIN SELECTOR STATE DNS ADVICE", func(k checked) []any { return []any{k.Domain, k.Selector, k.State, k.Seen, k.Advice} })
		}
		if err != nil {
			return c.unjudged(err)
		}
		if status != 0 {
			return &toolError{status}
		}
		return nil
	}
	return cmd
}

// checkKeys asks the DNS for all keys, and moves on those whose time has come.
func (c *command) checkKeys(ctx context.Context, args []string) (rows []checked, status int, err error) {
	resolver, err := c.resolver()
	if err != nil {
		return nil, 0, err
	}
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		keys, err := o.Keys(ctx, named(args))
		if err != nil {
			return err
		}
		if len(keys) == 0 && len(args) > 0 {
			return fmt.Errorf("%s has no keys; \"facteur dkim show %s\" makes them", args[0], args[0])
		}
		var plain []dkimkey.Key
		for _, k := range keys {
			plain = append(plain, k.Key())
		}
		views := sign.Look(ctx, app.KeyServers(resolver), plain)
		if keys, err = step(ctx, o, views, keys); err != nil {
			return err
		}
		rows, status = judgedKeys(views, keys)
		return nil
	})
	return rows, status, err
}

// step lets the server move keys on, domain by domain.
func step(ctx context.Context, o control.Office, views []sign.View, keys []control.SigningKey) ([]control.SigningKey, error) {
	byDomain := map[string][]sign.View{}
	for _, v := range views {
		byDomain[v.Key.Domain] = append(byDomain[v.Key.Domain], v)
	}
	for domain, views := range byDomain {
		answer, err := o.ChangeKeys(ctx, control.KeyOrder{Domain: domain, Action: control.StepKeys, Seen: sign.Sights(views)})
		if err != nil {
			return nil, err
		}
		for i, k := range keys {
			for _, now := range answer.Keys {
				if now.Domain == k.Domain && now.Selector == k.Selector {
					keys[i] = now
				}
			}
		}
	}
	return keys, nil
}

// judgedKeys are the rows of check, and its exit status.
func judgedKeys(views []sign.View, keys []control.SigningKey) (rows []checked, status int) {
	for i, v := range views {
		row := checked{SigningKey: keys[i], Seen: "ok", Advice: sign.Advice(keys[i].Key())}
		if v.Problem != "" {
			row.Seen = v.Problem
		}
		withdrawn := v.Key.State == dkimkey.Retired // its record may be gone, too
		switch {
		case withdrawn && v.Sight == dkimkey.Missing && len(v.Records) == 0:
			row.Seen, row.Advice = "none", "withdrawn"
		case withdrawn && v.Sight == dkimkey.Seen:
			row.Advice = "withdrawn"
		case withdrawn:
		case v.Sight == dkimkey.Missing:
			status = notAuthentic
		case v.Sight == dkimkey.Unknown && status == 0:
			status = notJudged
		}
		rows = append(rows, row)
	}
	return rows, status
}

func (c *command) dkimRotate() *cobra.Command {
	force := false
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "rotate [DOMAIN]",
		Short: "Make the next key of a domain, or let it take over",
		Long: "Make the next key of a domain, of all without one, and print the record to publish.\n" +
			"The key takes over when all name servers of the settings have shown its record for\n" +
			"dkim.settle: the server sees to that, and so does this command when it is called\n" +
			"again. The old key's record stays for dkim.retire; \"dkim check\" tells what is to do.",
		Args: cobra.MaximumNArgs(1),
	}))
	cmd.Flags().BoolVar(&force, "force", false, "let the next key sign now, whatever the DNS shows")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		domains, err := c.keyDomains(cmd.Context(), args)
		if err != nil {
			return err
		}
		for _, domain := range domains {
			if err := c.rotate(cmd.Context(), domain, force); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// keyDomains is the domain named, or all that have keys.
func (c *command) keyDomains(ctx context.Context, args []string) (domains []string, err error) {
	if len(args) > 0 {
		domain, err := address.CanonicalDomain(args[0])
		return []string{domain}, err
	}
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		keys, err := o.Keys(ctx, control.DomainName{})
		for _, k := range keys {
			if n := len(domains); n == 0 || domains[n-1] != k.Domain {
				domains = append(domains, k.Domain)
			}
		}
		return err
	})
	return domains, err
}

// rotate makes the next key, or brings it a step further.
func (c *command) rotate(ctx context.Context, domain string, force bool) error {
	return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		if err := isOurs(ctx, o, domain); err != nil {
			return err
		}
		answer, err := o.ChangeKeys(ctx, control.KeyOrder{Domain: domain, Action: control.NextKeys})
		if err != nil {
			return err
		}
		if force {
			return c.forceKeys(ctx, o, answer)
		}
		resolver, err := c.resolver()
		if err != nil {
			return err
		}
		var waiting []dkimkey.Key
		for _, k := range answer.Keys {
			if key := k.Key(); key.Waiting() {
				waiting = append(waiting, key)
			}
		}
		views := sign.Look(ctx, app.KeyServers(resolver), waiting)
		if answer, err = o.ChangeKeys(ctx, control.KeyOrder{Domain: domain, Action: control.StepKeys, Seen: sign.Sights(views)}); err != nil {
			return err
		}
		return c.tellRotation(answer, views)
	})
}

func (c *command) forceKeys(ctx context.Context, o control.Office, answer control.KeyAnswer) error {
	for _, k := range answer.Keys {
		if key := k.Key(); !key.Waiting() {
			continue
		}
		changed, err := o.ChangeKeys(ctx, control.KeyOrder{Domain: k.Domain, Action: control.ActivateKey, Selector: k.Selector})
		if err != nil {
			return err
		}
		answer = changed
	}
	return c.tellRotation(answer, nil)
}

// tellRotation tells what each key does now, and prints the records that are missed.
func (c *command) tellRotation(answer control.KeyAnswer, views []sign.View) error {
	if c.json {
		return printJSON(c, answer.Keys...)
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	var missing []records.Record
	for _, k := range answer.Keys {
		fmt.Fprintf(c.out, "; %s (%s): %s\n", k.Name, k.Algorithm, sign.Advice(k.Key()))
		if k.State == dkimkey.Made {
			missing = append(missing, records.Key(cfg, k.Key(), k.Record))
		}
	}
	for _, v := range views {
		if v.Problem != "" {
			fmt.Fprintf(c.out, "; %s: %s\n", v.Key.Name(), printable(v.Problem))
		}
	}
	return records.Write(c.out, missing)
}

func (c *command) dkimRetire() *cobra.Command {
	return &cobra.Command{
		Use:   "retire DOMAIN SELECTOR",
		Short: "End a key: one that signs does so no more, any other is withdrawn",
		Args:  takes("DOMAIN", "SELECTOR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				answer, err := o.ChangeKeys(ctx, control.KeyOrder{Domain: args[0], Action: control.RetireKey, Selector: args[1]})
				if err != nil {
					return err
				}
				return c.tellRotation(answer, nil)
			})
		},
	}
}
