package waypost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"waypost/client/waypostv1"
)

const (
	errorDomain      = "waypost"
	requestIDTrailer = "waypost-request-id"
)

// Error is what a failed call returns:
//
//	var failed *waypost.Error
//	if errors.As(err, &failed) && failed.Reason == waypostv1.ErrorReason_ERROR_REASON_MODEL_NOT_FOUND { … }
//
// [errors.Is] finds [context.DeadlineExceeded] and [context.Canceled] in it, and [status.FromError] its status.
type Error struct {
	// Code is the status code; the contract says what to do about each.
	Code codes.Code
	// Reason is unspecified where the failure is not Waypost's own: the network's, or the caller's deadline.
	Reason waypostv1.ErrorReason
	// Message is for people.
	Message string
	// Field is the path of the offending field, such as texts[3]; empty where no field is to blame.
	Field string
	// RetryAfter is the pause after which the same call is worth another try; nil where the server did not say.
	RetryAfter *time.Duration
	// Metadata has the reason's own figures, such as limit and actual.
	Metadata map[string]string
	// RequestID is how the router's decision log knows the call; empty where no router answered.
	RequestID string

	status *status.Status
}

// Error says code, reason and message.
func (e *Error) Error() string {
	if e.Reason == waypostv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return fmt.Sprintf("waypost: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("waypost: %s (%s): %s", e.Code, e.Reason, e.Message)
}

// GRPCStatus is the status as it came.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Unwrap gives the context's error that a deadline or a cancellation is.
func (e *Error) Unwrap() error {
	switch e.Code {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	default:
		return nil
	}
}

// Temporary says whether the same call may succeed later, unchanged: the server is full or away, or the deadline passed.
func (e *Error) Temporary() bool {
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	case codes.ResourceExhausted:
		return e.RetryAfter != nil
	default:
		return false
	}
}

// ReasonOf is the reason of a failed call; unspecified for every other error, and nil.
func ReasonOf(err error) waypostv1.ErrorReason {
	var failed *Error
	if errors.As(err, &failed) {
		return failed.Reason
	}
	return waypostv1.ErrorReason_ERROR_REASON_UNSPECIFIED
}

// errorOf is the typed error of a status; what is no status (io.EOF, an interceptor's own) stays as it is.
func errorOf(err error, trailer metadata.MD) error {
	var already *Error
	found, is := status.FromError(err)
	if err == nil || !is || errors.As(err, &already) {
		return err
	}
	made := &Error{Code: found.Code(), Message: found.Message(), status: found}
	for _, detail := range found.Details() {
		made.read(detail)
	}
	if ids := trailer.Get(requestIDTrailer); len(ids) > 0 {
		made.RequestID = ids[0]
	}
	return made
}

func (e *Error) read(detail any) {
	switch told := detail.(type) {
	case *errdetails.ErrorInfo:
		e.readInfo(told)
	case *errdetails.BadRequest:
		if violations := told.GetFieldViolations(); len(violations) > 0 {
			e.Field = violations[0].GetField()
		}
	case *errdetails.RetryInfo:
		pause := told.GetRetryDelay().AsDuration()
		e.RetryAfter = &pause
	}
}

func (e *Error) readInfo(info *errdetails.ErrorInfo) {
	if info.GetDomain() != errorDomain {
		return
	}
	e.Reason = waypostv1.ErrorReason(waypostv1.ErrorReason_value[info.GetReason()])
	e.Metadata = info.GetMetadata()
}
