package directory

// Account is somebody who has mailboxes here and may log in.
type Account struct {
	// Address is the account's name and main address, "alice@example.org".
	Address string
	// Home is the absolute directory that holds its Maildir and index.
	Home string
	// Quota is the most bytes its mailboxes may hold; 0: no limit of its own.
	Quota int64
	// Disabled accounts keep their mail and receive, but can not log in.
	Disabled bool
}
