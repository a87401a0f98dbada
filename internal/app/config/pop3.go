package config

import (
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/pop3"
)

// POP3Rules is how mail is fetched by POP3.
type POP3Rules struct {
	// How letters get their unique-ids, by which clients know what they have fetched:
	// %u is the letter's UID, %v the mailbox's UIDVALIDITY, %08Xu the UID as eight
	// hexadecimal digits. After a change from another server, set this to what that one
	// used, or clients fetch everything again. Unique-ids that stand in a file
	// dovecot-uidlist go before it. Dovecot calls this pop3_uidl_format.
	UIDLFormat string `toml:"uidl_format"`
	// What becomes of a letter that a client deletes: "expunge" (it is removed; what is
	// kept of expunged letters is kept of it), "trash" (it goes to the mailbox Trash) or
	// "flag" (it stays, with the keyword deleted_flag, and POP3 does not show it any
	// more). Dovecot calls this pop3_delete_type.
	DeleteType DeleteType `toml:"delete_type"`
	// The keyword for that. Dovecot calls this pop3_deleted_flag.
	DeletedFlag string `toml:"deleted_flag"`
	// Whether a letter that was fetched counts as read. Dovecot's pop3_no_flag_updates
	// is the opposite.
	MarkSeen bool `toml:"mark_seen"`
	// Whether one session at a time has the letters of an account, as RFC 1939 wants it.
	// A session that was silent for a minute gives way to the next. Dovecot calls this
	// pop3_lock_session, and does not lock.
	LockSession bool `toml:"lock_session"`
	// The least time between two log-ins to an account. Clients are told of it. "0s":
	// they may come as often as they want.
	LoginDelay conf.Duration `toml:"login_delay"`
}

// DeleteType is what becomes of a letter that is deleted by POP3.
type DeleteType string

// The choices; the first and the last as Dovecot names them.
const (
	DeleteExpunge DeleteType = "expunge"
	DeleteTrash   DeleteType = "trash"
	DeleteFlag    DeleteType = "flag"
)

// Form says what may be written.
func (DeleteType) Form() string { return oneOf(DeleteExpunge, DeleteTrash, DeleteFlag) }

// UnmarshalText takes one of the choices.
func (d *DeleteType) UnmarshalText(text []byte) error {
	return choose(d, text, DeleteExpunge, DeleteTrash, DeleteFlag)
}

func defaultPOP3() POP3Rules {
	return POP3Rules{
		UIDLFormat: "%08Xu%08Xv", DeleteType: DeleteExpunge, DeletedFlag: "$POP3Deleted", MarkSeen: true, LockSession: true,
	}
}

// maxLoginDelay is more than anybody wants to wait for his mail.
const maxLoginDelay = 24 * time.Hour

func (k *checker) pop3() {
	p := k.c.POP3
	if _, err := pop3.ParseFormat(p.UIDLFormat); err != nil {
		k.failf("pop3.uidl_format", "%v", err)
	}
	if c, err := pop3.Parse([]byte(p.DeletedFlag)); err != nil || c.Rest != "" || len(p.DeletedFlag) > 30 {
		k.failf("pop3.deleted_flag", `%q is no keyword; expected one such as "$POP3Deleted"`, p.DeletedFlag)
	}
	if d := p.LoginDelay.Std(); d < 0 || d > maxLoginDelay {
		k.failf("pop3.login_delay", "expected 0s to 1d")
	}
}
