// Package control is the counter of the post office: what an admin's commands ask
// of accounts, domains and the queue, whether or not the server runs.
//
// There is one list of operations, Office, and two ways to it. While the server is
// stopped, Open takes the data directory for itself and works on the stores. While
// it runs, Open finds its socket and sends the operations there, so that the
// server's caches learn of every change at once. A command does not know which
// way it went.
//
// # On disk
//
// DATA/lock is locked with flock(2) by whoever works on the stores, and holds the
// process id of who did last; the lock ends with its process, however that ends.
// DATA/control.sock (mode 0600, in a directory of mode 0700) is the server's
// socket; the one that a crash left is removed by the next server, which has the
// lock by then.
//
// # On the wire
//
// HTTP/1.1 with JSON, POST only; a listing is one JSON value a line. The peer must
// be root or the user that the server runs as (SO_PEERCRED). Requests are at most
// 64 KiB, every wait has a deadline, and few connections are served at a time; it
// is a socket for people and scripts, not for load.
package control

import (
	"context"
	"io"
	"time"

	"facteur/internal/flow/brake"
	"facteur/internal/store/directory"
	"facteur/internal/store/greylist"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/reputation"
	"facteur/internal/store/tlsreport"

	reports "facteur/internal/flow/report"
)

// Office is what an admin can ask for. Errors are lines for people. It has two
// implementations: the stores themselves, and the client of a running server.
type Office interface {
	// Accounts lists all accounts by domain and address.
	Accounts(ctx context.Context) ([]directory.Account, error)
	// AddAccount makes an account.
	AddAccount(ctx context.Context, a NewAccount) error
	// SetPassword replaces a password.
	SetPassword(ctx context.Context, p NewPassword) error
	// SetDisabled suspends an account, or ends that.
	SetDisabled(ctx context.Context, n Suspension) error
	// AppPasswords lists the app passwords of an account; AddAppPassword makes one, which
	// nobody learns again; RemoveAppPassword takes one back.
	AppPasswords(ctx context.Context, n AccountName) ([]directory.AppPassword, error)
	AddAppPassword(ctx context.Context, n AppName) (AppSecret, error)
	RemoveAppPassword(ctx context.Context, n AppName) error
	// Audit calls fn for every account that there is something to say of.
	Audit(ctx context.Context, how directory.Auditing, fn func(directory.Review) error) error
	// TryLogin logs in as anybody would, and tells more.
	TryLogin(ctx context.Context, a Attempt) (directory.Trial, error)
	// RemoveAccount removes an account; its mail only when told.
	RemoveAccount(ctx context.Context, r Removal) error
	// Grants lists what an account, or all accounts, may send as.
	Grants(ctx context.Context, n AccountName) ([]directory.Grant, error)
	// Grant lets an account send as an address; Revoke takes that back.
	Grant(ctx context.Context, p Permission) error
	Revoke(ctx context.Context, p Permission) error
	// Address tells where an address leads.
	Address(ctx context.Context, q AddressQuestion) (AddressAnswer, error)
	// Aliases lists those of the database by domain and address.
	Aliases(ctx context.Context) ([]directory.Alias, error)
	// AddAlias makes an alias, RemoveAlias takes one away.
	AddAlias(ctx context.Context, n NewAlias) error
	RemoveAlias(ctx context.Context, n AliasName) error
	// Domains lists all domains by name.
	Domains(ctx context.Context) ([]directory.Domain, error)
	// AddDomain declares a domain in the database.
	AddDomain(ctx context.Context, d NewDomain) error
	// RemoveDomain takes a domain out of the database.
	RemoveDomain(ctx context.Context, d DomainName) error
	// Keys lists the DKIM keys of a domain, or of all domains. ChangeKeys makes, takes over
	// or moves on keys of a domain, and gives what there is then.
	Keys(ctx context.Context, n DomainName) ([]SigningKey, error)
	ChangeKeys(ctx context.Context, o KeyOrder) (KeyAnswer, error)
	// FilterPolicies lists the policies of the filter, or tells what holds for an account.
	// ChangeFilterPolicy has one say something else.
	FilterPolicies(ctx context.Context, q PolicyQuery) (PolicyAnswer, error)
	// Records tells what is known of machines, networks, domains and senders, the worst
	// first; Bans who is refused now, Fares how new, small and large senders fared.
	Records(ctx context.Context, q RecordQuery) ([]reputation.Record, error)
	Bans(ctx context.Context) ([]reputation.Ban, error)
	Fares(ctx context.Context, q Since) ([]reputation.Fare, error)
	// BanSubject refuses a machine or a network for some time, Forgive forgets all that is
	// known of somebody.
	BanSubject(ctx context.Context, o BanOrder) error
	Forgive(ctx context.Context, n SubjectName) error
	ChangeFilterPolicy(ctx context.Context, c PolicyChange) error
	// FilterList lists the senders that are allowed, blocked or scored; ChangeFilterList adds
	// or removes some.
	FilterList(ctx context.Context, q ListQuery) ([]ListEntry, error)
	ChangeFilterList(ctx context.Context, c ListChange) error
	// Quarantine calls fn for every letter there that is picked, the oldest first, until it
	// fails. QuarantineStats counts. ChangeQuarantine carries out an order, and tells of each
	// part when it is done.
	Quarantine(ctx context.Context, s Shelved, fn func(Exhibit) error) error
	QuarantineStats(ctx context.Context) (QuarantineStats, error)
	ChangeQuarantine(ctx context.Context, o QuarantineOrder, told func(Progress) error) error
	// Brake tells how accounts stand: one, or all of which there is something to tell.
	Brake(ctx context.Context, account string) ([]brake.Standing, error)
	// ChangeBrake releases, deletes or forgives, and tells how much that changed.
	ChangeBrake(ctx context.Context, o BrakeOrder) (brake.Done, error)
	// Greylist calls fn for strangers who wait or have passed, until fn fails.
	Greylist(ctx context.Context, q GreylistQuery, fn func(greylist.Entry) error) error
	// ChangeGreylist lets strangers in, or forgets them, and gives those whom it found.
	ChangeGreylist(ctx context.Context, o GreylistOrder) ([]greylist.Entry, error)
	// GreylistAllowed lists who never waits by AllowGreylist.
	GreylistAllowed(ctx context.Context) ([]greylist.Allowed, error)
	// AllowGreylist lets somebody in without waiting from now on, or takes that back.
	AllowGreylist(ctx context.Context, a GreylistSubject) error
	// GreylistDays tells what greylisting did, day by day.
	GreylistDays(ctx context.Context) ([]greylist.Day, error)
	// Queue calls fn for every item that is picked, until fn fails.
	Queue(ctx context.Context, s Selection, fn func(Entry) error) error
	// CountQueue counts what is picked.
	CountQueue(ctx context.Context, s Selection) (Count, error)
	// Entry is one item of the queue.
	Entry(ctx context.Context, id ItemID) (Entry, error)
	// Message is the bytes of an item. Close it.
	Message(ctx context.Context, id ItemID) (io.ReadCloser, error)
	// Change carries out an order, and tells of each part when it is done. When told
	// fails, or ctx ends, what is not done yet stays as it is.
	Change(ctx context.Context, o Order, told func(Progress) error) error
	// Shape calls fn for every domain, in no order.
	Shape(ctx context.Context, s Shape, fn func(Row) error) error
	// CheckQueue reads every message, and calls fn for each that can't be read.
	CheckQueue(ctx context.Context, fn func(Damage) error) error
	// Mailboxes lists the mailboxes of an account, INBOX first.
	Mailboxes(ctx context.Context, n AccountName) ([]Mailbox, error)
	// WriteDovecot writes UIDs and keywords of an account into Dovecot's files.
	WriteDovecot(ctx context.Context, n AccountName) (WayBack, error)
	// CreateMailbox makes a mailbox of an account.
	CreateMailbox(ctx context.Context, n MailboxName) error
	// DeleteMailbox removes one with all letters in it.
	DeleteMailbox(ctx context.Context, n MailboxName) error
	// RenameMailbox renames one and those below it.
	RenameMailbox(ctx context.Context, r MailboxRename) error
	// MailboxRights lists who may do what with a mailbox, the owner first.
	MailboxRights(ctx context.Context, n MailboxName) ([]MailboxRights, error)
	// SetMailboxRights changes what one may do.
	SetMailboxRights(ctx context.Context, r MailboxRights) error
	// Undelete brings expunged letters back, and tells where to.
	Undelete(ctx context.Context, u Undelete) ([]Moved, error)
	// Expire removes what is too old in the mailboxes of an account.
	Expire(ctx context.Context, n AccountName) ([]Moved, error)
	// Expunge removes letters of one mailbox, and tells how many.
	Expunge(ctx context.Context, e Expunge) ([]Moved, error)
	// Import opens a mailbox for letters that come from elsewhere.
	Import(ctx context.Context, t ImportTarget) (Importing, error)
	// Export calls fn for every letter of a mailbox, in order of the UIDs.
	Export(ctx context.Context, n Exported, fn func(ImportLetter, io.Reader) error) error
	// Cut writes all that the data directory holds, as it is now, into a new directory in
	// it, and tells of each part. The caller removes it.
	Cut(ctx context.Context, c Cut, told func(CutPart) error) error
	// SetAllowance says what an account may keep; Usage what it does.
	SetAllowance(ctx context.Context, n NewAllowance) error
	Usage(ctx context.Context, n AccountName) (AccountUsage, error)
	// TLSReport is how connections to other mail servers came to their TLS on a day.
	TLSReport(ctx context.Context, d Day) ([]tlsreport.Policy, error)
	// DNSLists tells how the lists fare that are asked by DNS.
	DNSLists(ctx context.Context) (DNSLists, error)
	// Scanners asks the scanners whether they are there, and tells how they fare.
	Scanners(ctx context.Context) (Scanners, error)
	// TryLetter tells what the filter makes of a letter.
	TryLetter(ctx context.Context, t LetterTrial) (Weighed, error)
	// Knock tries envelopes at the door for other servers, as strangers would.
	Knock(ctx context.Context, k Knock) (Knocked, error)
	// Teach teaches the words of a letter; Learnt tells how much was learnt; Unlearn forgets
	// all that an account, or the server, has learnt.
	Teach(ctx context.Context, t Teaching) (Taught, error)
	Learnt(ctx context.Context, q LearntBy) ([]lexicon.Standing, error)
	Unlearn(ctx context.Context, n AccountName) error
	// Reports is what others report about us, or what we report to them.
	Reports(ctx context.Context, q ReportQuery) (Reports, error)
	// SendReports sends what is due now, or tells what it would send.
	SendReports(ctx context.Context, o SendReports) ([]reports.Sent, error)
}

// Day is one of UTC.
type Day struct {
	Day time.Time `json:"day"`
}

// NewAccount is an account to be.
type NewAccount struct {
	Address  string `json:"address"`
	Password string `json:"password"`
	// Hashed: Password is a hash that others made of it.
	Hashed bool `json:"hashed,omitempty"`
	// Quota is in bytes; 0: the default of the settings.
	Quota int64 `json:"quota"`
}

// NewPassword replaces that of an account.
type NewPassword struct {
	Address  string `json:"address"`
	Password string `json:"password"`
	// Hashed: Password is a hash that others made of it.
	Hashed bool `json:"hashed,omitempty"`
}

// Removal says which account goes, and whether its mail goes with it.
type Removal struct {
	Address string `json:"address"`
	Mail    bool   `json:"mail"`
}

// NewDomain is a domain to be: what the settings file says of one, too.
type NewDomain struct {
	Name     string `json:"name"`
	Class    string `json:"class,omitempty"` // "mailbox" where it is empty
	AliasOf  string `json:"alias_of,omitempty"`
	CatchAll string `json:"catch_all,omitempty"`
}

// DomainName is a domain in any case and script.
type DomainName struct {
	Name string `json:"name"`
}

// ItemID is a queue ID as people see it.
type ItemID struct {
	ID string `json:"id"`
}
