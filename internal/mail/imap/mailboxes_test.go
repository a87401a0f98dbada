package imap

import (
	"bufio"
	"strings"
	"testing"
)

// FuzzMailboxCommands: no command about mailboxes makes the reader stumble.
func FuzzMailboxCommands(f *testing.F) {
	for _, seed := range []string{
		`SETACL INBOX fred +lrs`, `LISTRIGHTS a "b c"`, `GETMETADATA (DEPTH 1) "" (/private /shared)`, `GETMETADATA "" (MAXSIZE 5) /private/x`,
		"SETMETADATA INBOX (/private/a ~{2+}\r\nx\x00 /shared/b NIL)", `NOTIFY NONE`, `NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge))`,
		`NOTIFY SET (subtree (a b) NONE) (personal (FlagChange MessageNew MessageExpunge))`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" (% *) RETURN (STATUS (SIZE) METADATA (/shared/a) MYRIGHTS)`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, command string) {
		d := NewDecoder(bufio.NewReader(strings.NewReader("a "+command+"\r\n")), AfterLogin(), func() error { return nil })
		d.Next() //nolint:errcheck // anything may come of it
	})
}
