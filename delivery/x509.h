/*
 * Names of the errors that OpenSSL finds in a certificate.  Pure.
 */
#ifndef CULVER_X509_H
#define CULVER_X509_H

/*
 * "X509_V_ERR_CERT_HAS_EXPIRED" of its number; a number that is none is
 * X509_V_ERR_UNSPECIFIED.  RPT-4.3.1-5, RPT-4.4-19 RFC 8460 4.3.1
 */
const char	*x509_error_name(int error);

#endif
