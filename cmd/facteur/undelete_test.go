package main

import (
	"strings"
	"testing"
)

func TestExpireAndUndelete(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small+"[[mailbox.expire]]\nname = 'INBOX'\nafter = '30d'\n")
	accountWith(t, file, "alice@example.org", map[string]string{
		"1000000000.a.host": "Subject: Holiday plans\r\n\r\nHello.\r\n", "1000000001.b.host": "Subject: other\r\n\r\nHello.\r\n"})
	if got := good(t, "", "mailbox", "expire", "alice@example.org", "-c", file); !strings.Contains(got, "INBOX    2") {
		t.Error(got)
	}
	if got := good(t, "", "mailbox", "undelete", "alice@example.org", "--mailbox", "Work", "-c", file); got != "" {
		t.Error(got)
	}
	for _, want := range []string{"INBOX    1", ""} { // exactly once
		if got := good(t, "", "mailbox", "undelete", "alice@example.org", "--subject", "holiday", "--since", "1h", "-c", file); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMailboxExpunge(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	accountWith(t, file, "alice@example.org", map[string]string{"1000000000.a.host": "Subject: one\r\n\r\nHello.\r\n"})
	for _, step := range [][2]string{
		{"mailbox expunge alice@example.org INBOX", ""}, // nothing is marked
		{"mailbox expunge alice@example.org INBOX --before 1d", "INBOX    1"},
		{"mailbox undelete alice@example.org", "INBOX    1"},
		{"account quota alice@example.org --keep-expunged 0s", "0s"},
		{"mailbox expunge alice@example.org INBOX --before 0s", "INBOX    1"},
		{"mailbox undelete alice@example.org", ""},
		{"account quota alice@example.org --keep-expunged default", "14d"},
	} {
		got := good(t, "", append(strings.Fields(step[0]), "-c", file)...)
		if !strings.Contains(got, step[1]) || step[1] == "" && got != "" {
			t.Errorf("%s:\n%s", step[0], got)
		}
	}
	if status, _, _ := call(t, "", "mailbox", "expunge", "alice@example.org", "None", "--before", "1d", "-c", file); status != 1 {
		t.Error("a mailbox that is not there")
	}
}

func TestAccountQuota(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, small)
	accountWith(t, file, "alice@example.org", map[string]string{"1700000000.a.host": "Subject: one\r\n\r\nHello.\r\n"})
	for args, want := range map[string]string{
		"2G --messages 100": "24    2G     1         100", "unlimited --messages default": "unlimited", "": "alice@example.org",
	} {
		words := append([]string{"account", "quota", "alice@example.org"}, strings.Fields(args)...)
		if got := good(t, "", append(words, "-c", file)...); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s", args, got)
		}
	}
	if status, _, _ := call(t, "", "account", "quota", "alice@example.org", "0", "-c", file); status != 1 {
		t.Error("0 is taken for a limit")
	}
}
