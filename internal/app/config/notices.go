package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/flow/bounce"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dsn"
)

// Notices is what is told of messages that are late or can't be delivered, to their
// senders and to the postmaster.
type Notices struct {
	// A file with the texts of the notices, in the form of Postfix's bounce(5), or a
	// directory with one for each language, "en.cf" and "fr.cf". What it does not have
	// is built in. A file is taken to be in the language of the setting "language",
	// and all notices are in that language then. Postfix calls this
	// bounce_template_file.
	TemplateFile string `toml:"template_file"`
	// The largest message that goes back to its sender as a whole; of a larger one he
	// gets the headers. Postfix calls this bounce_size_limit.
	SizeLimit conf.Size `toml:"size_limit"`
	// Domains whose people get notices in French. Who is of none of these domains gets
	// them in the language that his message names (Accept-Language, Content-Language),
	// and else in that of the setting "language".
	FrenchDomains conf.Strings `toml:"french_domains"`
	// Domains whose people get notices in English.
	EnglishDomains conf.Strings `toml:"english_domains"`
	// What the postmaster gets letters about: "bounce" (what goes back to senders),
	// "2bounce" (notices that can't be delivered: each as it is, up to 20 in an hour),
	// "delay", "policy" (clients that were refused), "protocol" (clients that break the
	// rules), "resource" (a full disk and the like), "software" (faults of the server),
	// "data" (deliveries that wait for something of the server's own), "complaint" (an
	// account whose mail people complain about; see reports.complaints), "quarantine"
	// (letters that were put there, of the categories that notify in
	// [[filter_policy]] names). But for "2bounce",
	// a letter has the lines of the log, and for "policy" and "protocol" what was said in
	// the sessions. Postfix calls this notify_classes.
	Classes conf.Strings `toml:"classes"`
	// How often a letter about each of them comes, at most.
	Interval conf.Duration `toml:"interval"`
	// Who gets the letters about "bounce". Empty: the postmaster. Postfix calls this
	// bounce_notice_recipient.
	BounceRecipient string `toml:"bounce_recipient"`
	// Who gets the notices that can't be delivered. Empty: the postmaster. Postfix calls
	// this 2bounce_notice_recipient.
	DoubleBounceRecipient string `toml:"double_bounce_recipient"`
	// Who gets the letters about "delay". Empty: the postmaster. Postfix calls this
	// delay_notice_recipient.
	DelayRecipient string `toml:"delay_recipient"`
	// Who gets the letters about all else. Empty: the postmaster. Postfix calls this
	// error_notice_recipient.
	ErrorRecipient string `toml:"error_recipient"`
}

func defaultNotices() Notices {
	return Notices{SizeLimit: dsn.DefaultReturn, Classes: conf.Strings{"2bounce", "resource", "software", "complaint", "quarantine"}, Interval: conf.Duration(time.Hour)}
}

// maxNoticeReturn keeps the notices that are in memory at a time small.
const maxNoticeReturn = 1 << 20

func (k *checker) notices() {
	n := k.c.Notices
	if n.SizeLimit < 1 || n.SizeLimit > maxNoticeReturn {
		k.failf("notices.size_limit", "expected 1 to %d bytes", maxNoticeReturn)
	}
	if n.Interval < conf.Duration(time.Minute) {
		k.failf("notices.interval", "expected a minute or more: a flood is to make one letter")
	}
	_, mistakes := k.c.noticeRules()
	k.errs = append(k.errs, mistakes...)
}

// NoticeRules are what notices are written by. Files that are named in the settings are
// read each time.
func (c *Config) NoticeRules() (bounce.Settings, error) {
	s, mistakes := c.noticeRules()
	return s, errors.Join(mistakes...)
}

func (c *Config) noticeRules() (s bounce.Settings, mistakes []error) {
	n := c.Notices
	failf := func(key, format string, args ...any) {
		mistakes = append(mistakes, c.positions.Errorf("notices."+key, format, args...))
	}
	s = bounce.Settings{Language: string(c.Language), Return: int(n.SizeLimit), Interval: n.Interval.Std(), Languages: map[string]string{},
		DelayWarning: c.Queue.DelayWarningTime.Std(), Lifetime: c.Queue.MaximalQueueLifetime.Std(), BounceLifetime: c.Queue.BounceQueueLifetime.Std()}
	for _, d := range n.FrenchDomains {
		s.Languages[strings.ToLower(d)] = "fr"
	}
	for _, d := range n.EnglishDomains {
		s.Languages[strings.ToLower(d)] = "en"
	}
	var err error
	if s.Templates, s.Only, err = readTemplates(n.TemplateFile, string(c.Language)); err != nil {
		failf("template_file", "%v", err)
	}
	s.Topics = map[event.Topic]address.Address{}
	for _, class := range n.Classes {
		topic, key, text, ok := n.topic(class)
		if !ok {
			failf("classes", "there is no class %q; expected some of %s", class, topicNames())
			continue
		}
		to, err := address.Parse(text)
		if text != "" && err != nil {
			failf(key, "%q is no mail address, such as \"postmaster@example.org\"", text)
		}
		s.Topics[topic] = to
	}
	return s, mistakes
}

// topic is a class of the settings, and the key and value of who hears of it.
func (n Notices) topic(class string) (t event.Topic, key, to string, ok bool) {
	for _, t = range event.Topics() {
		if string(t) != class {
			continue
		}
		switch t {
		case event.Bounce:
			return t, "bounce_recipient", n.BounceRecipient, true
		case event.DoubleBounce:
			return t, "double_bounce_recipient", n.DoubleBounceRecipient, true
		case event.Delay:
			return t, "delay_recipient", n.DelayRecipient, true
		}
		return t, "error_recipient", n.ErrorRecipient, true
	}
	return "", "", "", false
}

func topicNames() string {
	var names []string
	for _, t := range event.Topics() {
		names = append(names, fmt.Sprintf("%q", t))
	}
	return strings.Join(names, ", ")
}

// readTemplates reads a file of texts for one language, or those of a directory. Only is
// that one language.
func readTemplates(path, language string) (all map[string]*dsn.Templates, only string, err error) {
	if path == "" {
		return nil, "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	all = map[string]*dsn.Templates{}
	if !info.IsDir() {
		all[language], err = readTemplate(path)
		return all, language, err
	}
	for _, language := range []string{"en", "fr"} {
		own, err := readTemplate(filepath.Join(path, language+".cf"))
		switch {
		case err == nil:
			all[language] = own
		case !errors.Is(err, os.ErrNotExist):
			return nil, "", err
		}
	}
	if len(all) == 0 {
		return nil, "", fmt.Errorf("%s has neither en.cf nor fr.cf", path)
	}
	return all, "", nil
}

func readTemplate(path string) (*dsn.Templates, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, dsn.MaxTemplates+1))
	if err != nil {
		return nil, err
	}
	own, err := dsn.ParseTemplates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return own, nil
}
