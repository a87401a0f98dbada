package mailbox

import (
	"errors"
	"syscall"

	"facteur/internal/store/maildir"
)

// IsFull tells the error of a disk, or of a user's share of it, that has no room. It is
// not ErrOverQuota, which is what the settings give an account.
func IsFull(err error) bool {
	if code := sqliteCode(err); code != 0 {
		return code == sqliteFull || code == sqliteNoSharedMemory
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// IsDamaged tells the error of a letter's file, or of an index, that is not what it was
// when it was written. An index is made anew by the next operation.
func IsDamaged(err error) bool {
	if errors.Is(err, maildir.ErrDamaged) || errors.Is(err, errCorrupt) {
		return true
	}
	code := sqliteCode(err) & 0xff
	return code == sqliteCorrupt || code == sqliteNotADatabase
}

// IsLocked tells the error of an index that another program kept to itself for longer
// than we wait.
func IsLocked(err error) bool { return sqliteCode(err)&0xff == sqliteBusy }

// sqliteCode is what SQLite says in err, 0 when it says nothing.
func sqliteCode(err error) int {
	var e interface{ Code() int }
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// SQLite's result codes that mean something to us. A full disk is SQLITE_FULL and, when
// a database is opened, SQLITE_IOERR_SHMSIZE.
const (
	sqliteError          = 1
	sqliteBusy           = 5
	sqliteCorrupt        = 11
	sqliteFull           = 13
	sqliteCantOpen       = 14
	sqliteNotADatabase   = 26
	sqliteNoSharedMemory = 4874
)
