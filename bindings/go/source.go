package zcrm

import (
	"io"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// Source is where the bytes of an upload come from. Make one with FromFile, FromBytes, FromReader or FromLink.
type Source struct {
	s cabi.Source
}

// FromFile sends the file at path under the last part of its path.
func FromFile(path string) Source { return Source{cabi.Source{Kind: cabi.FromFile, Path: path}} }

// FromBytes sends b under the name. b must not be changed during the call.
func FromBytes(name string, b []byte) Source {
	return Source{cabi.Source{Kind: cabi.FromMemory, Name: name, Data: b}}
}

// FromReader sends what r gives, under the name. size is the number of bytes, and more or fewer are [ErrSourceChanged]; -1 says that it is
// unknown: then the bytes go through a temporary file, unless the setting "unknown_length" says otherwise.
//
// With an r that is an [io.Seeker] the call can go back to where r stood at its beginning, and so repeat an attempt. What any other r
// gave to an attempt is gone: if that one has to be repeated, the call fails with [ErrSourceConsumed].
func FromReader(name string, r io.Reader, size int64) Source {
	return Source{cabi.Source{Kind: cabi.FromReader, Name: name, Reader: r, Length: size}}
}

// FromLink attaches a URL instead of a file. An empty title lets Zoho take the title of the linked page. Attachments only.
func FromLink(title, url string) Source {
	return Source{cabi.Source{Kind: cabi.FromLink, Name: title, LinkURL: url}}
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

// open is the source as one call reads it.
func (s Source) open(operation string) (cabi.Source, error) {
	if s.s.Kind == 0 {
		return s.s, argument(operation, "source", "is empty; make one with FromFile, FromBytes, FromReader or FromLink")
	}
	if s.s.Kind != cabi.FromReader {
		return s.s, nil
	}
	if s.s.Reader == nil {
		return s.s, argument(operation, "source", "the Reader is nil")
	}
	if seeker, ok := s.s.Reader.(io.Seeker); ok {
		// A pipe is an *os.File, too, and can't seek.
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			s.s.Rewind = func() error {
				_, err := seeker.Seek(start, io.SeekStart)
				return err
			}
		}
	}
	return s.s, nil
}
