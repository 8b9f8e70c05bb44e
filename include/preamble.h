#ifndef ZCRM_API
#if defined(_WIN32) && defined(ZCRM_SHARED)
/** Before each function. On Windows define ZCRM_SHARED to link the DLL. */
#define ZCRM_API __declspec(dllimport)
#else
/** Before each function. On Windows define ZCRM_SHARED to link the DLL. */
#define ZCRM_API
#endif
#endif

/** Length of a text that ends at its first NUL. */
#define ZCRM_NUL SIZE_MAX

#ifdef __cplusplus
/** A zcrm_str from pointer and length. */
#define ZCRM_STR_OF(pointer, length) (zcrm_str{(pointer), (length)})
#else
/** A zcrm_str from pointer and length. */
#define ZCRM_STR_OF(pointer, length) ((zcrm_str){(pointer), (length)})
#endif

/** A zcrm_str from a text literal. (C99 and C++; in C89 set ptr and len.) */
#define ZCRM_STR(literal) ZCRM_STR_OF("" literal, sizeof("" literal) - 1)

/** A zcrm_str from a pointer to a NUL-terminated text. */
#define ZCRM_CSTR(pointer) ZCRM_STR_OF(pointer, ZCRM_NUL)
