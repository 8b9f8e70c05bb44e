package zcrm

import (
	"io"
	"sync"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// Source is where the bytes of an upload come from. Make one with FromFile, FromBytes, FromReader or FromLink. It may be used for one
// upload after another, by copies of it too; one of FromReader not by two at once.
type Source struct {
	s      cabi.Source
	reader *reader // of FromReader
}

// FromFile sends the file at path under the last part of its path.
func FromFile(path string) Source { return Source{s: cabi.Source{Kind: cabi.FromFile, Path: path}} }

// FromBytes sends b under the name. b must not be changed during the call.
func FromBytes(name string, b []byte) Source {
	return Source{s: cabi.Source{Kind: cabi.FromMemory, Name: name, Data: b}}
}

// FromReader sends what r gives, under the name. size is the number of bytes, and more or fewer are [ErrSourceChanged]; -1 says that it is
// unknown: then the bytes go through a temporary file, unless the setting "unknown_length" says otherwise.
//
// An r that is an [io.Seeker] is sent from its position when the source is first used. A repeated attempt begins there again, and so does a
// later upload from the same source. Any other r can be read only once: an attempt that would have to be repeated, and a second upload, are
// [ErrSourceConsumed].
//
// A call waits for r, whatever its context does. So make sure that the end of the context ends a Read that blocks: [context.AfterFunc] may call
// CloseWithError of the pipe's other end, or SetReadDeadline of a file or a connection.
func FromReader(name string, r io.Reader, size int64) Source {
	return Source{s: cabi.Source{Kind: cabi.FromReader, Name: name, Length: size}, reader: &reader{r: r}}
}

// FromLink attaches a URL instead of a file. An empty title lets Zoho take the title of the linked page. Attachments only.
func FromLink(title, url string) Source {
	return Source{s: cabi.Source{Kind: cabi.FromLink, Name: title, LinkURL: url}}
}

// Named is the same source with another file name.
func (s Source) Named(name string) Source {
	s.s.Name = name
	return s
}

// ContentType is the same source with a MIME type; the default is application/octet-stream.
func (s Source) ContentType(mime string) Source {
	s.s.ContentType = mime
	return s
}

// open makes it the source as one call reads it.
func (s *Source) open(operation string) error {
	if s.s.Kind == 0 {
		return argument(operation, "source", "is empty; make one with FromFile, FromBytes, FromReader or FromLink")
	}
	if s.reader == nil {
		return nil
	}
	if s.reader.r == nil {
		return argument(operation, "source", "the Reader is nil")
	}
	return wrap(operation, s.reader.open(&s.s))
}

// reader is the Reader of a source and of its copies.
type reader struct {
	r io.Reader

	mu    sync.Mutex
	start *int64 // where a Seeker stood at first; nil: r was not used yet, or can't seek
	owner *reading
}

// open gives the Reader to one upload.
func (r *reader) open(to *cabi.Source) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seeker, seeks := r.r.(io.Seeker)
	switch {
	case r.start != nil:
		if _, err := seeker.Seek(*r.start, io.SeekStart); err != nil {
			return cabi.SourceFailed(err)
		}
	case r.owner != nil:
		return cabi.SourceConsumed()
	case seeks:
		// A pipe is an *os.File, too, and can't seek.
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			r.start = &start
		}
	}
	if r.start == nil {
		to.Reader = &reading{of: r}
		return nil
	}
	to.Reader = r.r
	to.Rewind = func() error {
		_, err := seeker.Seek(*r.start, io.SeekStart)
		return err
	}
	return nil
}

// reading is one upload's use of a Reader that can't seek. The first that reads has it.
type reading struct{ of *reader }

func (u *reading) Read(p []byte) (int, error) {
	if !u.owns() {
		return 0, cabi.SourceConsumed()
	}
	return u.of.r.Read(p)
}

func (u *reading) owns() bool {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	if u.of.owner == nil {
		u.of.owner = u
	}
	return u.of.owner == u
}
