/*
 * Is a record what was written?  And in which order do numbers stand?
 *
 * Called by store.c for every value, by queue for body files.  Pure, but for
 * the tables that are made once.
 */
#include "conf/store.h"

/*
 * CRC-32C, the reflected polynomial; the tables are made at their first use.
 * Table n has the CRC of an octet with n zero octets behind it: sixteen
 * octets are looked up at once, for every body goes through here.
 */
#define CRC_PIECE	16
static uint32_t crc_tables[CRC_PIECE][256];

static void
make_crc_tables(void)
{
	uint32_t crc;
	unsigned n, i, bit;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		crc_tables[0][i] = crc;
	}
	for (n = 1; n < CRC_PIECE; n++)
		for (i = 0; i < 256; i++) {
			crc = crc_tables[n - 1][i];
			crc_tables[n][i] = crc >> 8 ^
			    crc_tables[0][crc & 0xff];
		}
}

/* Four octets of which n more follow in the piece, and crc before them. */
static inline uint32_t
crc_four(uint32_t crc, const uint8_t *at, unsigned n)
{
	crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 |
	    (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
	return crc_tables[n + 3][crc & 0xff] ^
	    crc_tables[n + 2][crc >> 8 & 0xff] ^
	    crc_tables[n + 1][crc >> 16 & 0xff] ^ crc_tables[n][crc >> 24];
}

static uint32_t
crc_piece(uint32_t crc, const uint8_t *at)
{
	return crc_four(crc, at, 12) ^ crc_four(0, at + 4, 8) ^
	    crc_four(0, at + 8, 4) ^ crc_four(0, at + 12, 0);
}

uint32_t
store_crc(uint32_t crc, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	if (crc_tables[0][1] == 0)
		make_crc_tables();
	crc = ~crc;
	for (; len >= CRC_PIECE; at += CRC_PIECE, len -= CRC_PIECE)
		crc = crc_piece(crc, at);
	while (len-- > 0)
		crc = crc >> 8 ^ crc_tables[0][(crc ^ *at++) & 0xff];
	return ~crc;
}

void
store_key_u64(uint8_t octets[8], uint64_t number)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		octets[i] = (uint8_t)(number >> (56 - 8 * i));
}

uint64_t
store_u64_of_key(const uint8_t octets[8])
{
	uint64_t number = 0;
	unsigned i;

	for (i = 0; i < 8; i++)
		number = number << 8 | octets[i];
	return number;
}
