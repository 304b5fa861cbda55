/*
 * What travels on a control connection?
 *
 * Linked at both ends: by the programs that answer (control.c), and by
 * culverctl and sendmail, which ask and have no loop.
 */
#include "conf/control.h"

static const struct wire_field request_fields[] = {
	WIRE_FIELD_BYTES(struct c_request, words),
};
static const struct wire_field output_fields[] = {
	WIRE_FIELD_BYTES(struct c_output, octets),
};
static const struct wire_field error_fields[] = {
	WIRE_FIELD_TEXT(struct c_error, text),
};
static const struct wire_field end_fields[] = {
	WIRE_FIELD(struct c_end, status, WIRE_U32, 255),
};
static const struct wire_message messages[] = {
	WIRE_ROW(C_REQUEST, struct c_request, request_fields, 0),
	WIRE_ROW(C_OUTPUT, struct c_output, output_fields, 0),
	WIRE_ROW(C_ERROR, struct c_error, error_fields, 0),
	WIRE_ROW(C_END, struct c_end, end_fields, 0),
};
const struct wire_table control_wire = {
	"control", messages, sizeof(messages) / sizeof(messages[0])
};
