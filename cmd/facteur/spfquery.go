package main

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/mail/spf"
)

// The exit statuses of spfquery, those of Mail::SPF's.
const (
	spfPermError = 4
	spfUsage     = "spfquery -ip=ADDRESS [-sender=ADDRESS] [-helo=NAME] [-rcpt-to=ADDRESS] [-dns=HOST:PORT]"
)

// spfStatus is the exit status of a result.
func spfStatus(s spf.Status) int {
	switch s {
	case spf.Pass:
		return 0
	case spf.Fail:
		return 1
	case spf.SoftFail:
		return 2
	case spf.Neutral:
		return 3
	case spf.TempError:
		return 5
	case spf.None:
		return 6
	}
	return spfPermError
}

// spfquery is the command of that name: options and output are those of libspf2's, the
// options of Mail::SPF's are understood as well.
func (c *command) spfquery(ctx context.Context, args []string) error {
	var w spfWords
	for len(args) > 0 {
		name, value, given := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		if !strings.HasPrefix(args[0], "-") {
			return &usageError{"unexpected " + args[0], spfUsage}
		}
		args = args[1:]
		if name == "help" || name == "?" {
			fmt.Fprintln(c.out, "usage: "+spfUsage)
			return nil
		}
		if !given {
			if len(args) == 0 {
				return &usageError{"-" + name + " needs a value", spfUsage}
			}
			value, args = args[0], args[1:]
		}
		switch name {
		case "ip", "i", "ip-address", "ipv4", "ipv6":
			w.ip = value
		case "sender", "s", "mfrom", "mail-from", "m", "identity", "id":
			w.sender = value
		case "helo", "h", "helo-identity", "helo-id":
			w.helo = value
		case "rcpt-to", "r", "hostname", "receiver":
			w.receiver = value
		case "dns":
			c.dns = value
		case "debug", "guess", "local", "trusted", "scope", "versions", "default-explanation":
			// Nothing of it changes the result of a record.
		default:
			return &usageError{"unknown option -" + name, spfUsage}
		}
	}
	if w.ip == "" || w.sender == "" && w.helo == "" {
		return &usageError{"", spfUsage}
	}
	if w.sender != "" && !strings.Contains(w.sender, "@") {
		w.sender = "postmaster@" + w.sender
	}
	q, r, err := c.askSPF(ctx, w)
	if err != nil {
		return err
	}
	comment := spfComment(q, r)
	fmt.Fprintf(c.out, "%s\n%s\n%s\n", r.Status, printable(spfSMTPComment(q, r)), comment)
	fmt.Fprintf(c.out, "Received-SPF: %s (%s) client-ip=%s; envelope-from=%s; helo=%s;\n",
		r.Status, comment, q.IP, printable(orEmpty(q.Sender, "<>")), printable(orEmpty(q.Helo, "unknown")))
	if status := spfStatus(r.Status); status != 0 {
		return &toolError{status}
	}
	return nil
}

func orEmpty(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// spfSMTPComment is what the client would be told.
func spfSMTPComment(q spf.Question, r spf.Result) string {
	if r.Status != spf.Fail {
		return ""
	}
	return orEmpty(r.Explanation, r.Sentence(q))
}

// spfComment is the sentence of libspf2 for a result.
func spfComment(q spf.Question, r spf.Result) string {
	domain, ip := "domain of "+r.Domain, q.IP.String()
	text := ""
	switch r.Status {
	case spf.Pass:
		text = domain + " designates " + ip + " as permitted sender"
	case spf.Fail:
		text = domain + " does not designate " + ip + " as permitted sender"
	case spf.SoftFail:
		text = "transitioning " + domain + " does not designate " + ip + " as permitted sender"
	case spf.Neutral:
		text = ip + " is neither permitted nor denied by " + domain
	case spf.None:
		text = domain + " does not provide an SPF record"
	default:
		text = "error in processing during lookup of " + orEmpty(q.Sender, q.Helo) + ": " + r.Problem
	}
	return "spfquery: " + printable(text)
}
