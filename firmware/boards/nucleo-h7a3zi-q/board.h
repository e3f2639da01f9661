/* SPDX-License-Identifier: MIT
 * NUCLEO-H7A3ZI-Q (MB1363, UM2408): the wiring this firmware uses. The same facts stand in config/boards/nucleo-h7a3zi-q.yaml for the host; a test
 * compares the two. Maturity: written from the manuals, run on the virtual board only, never on hardware. */
#ifndef FIRMWARE_BOARDS_NUCLEO_H7A3ZI_Q_BOARD_H
#define FIRMWARE_BOARDS_NUCLEO_H7A3ZI_Q_BOARD_H

#define BOARD_VENDOR "joulefarm"
#define BOARD_CORE_HZ 64000000u /* HSI, undivided: the reset default, no PLL */
#define BOARD_TIMER_HZ 1000000u /* TIM2 after its prescaler */

/* Marker line k is PE(2 + k): CN9 pins 14 (PE2), 22 (PE3), 16 (PE4), 18 (PE5), 20 (PE6). One port, so that one BSRR store moves them together. */
#define BOARD_MARKER_PIN0 2u
#define BOARD_MARKER_LINES 5u

/* USART3 on PD8 (TX), PD9 (RX): the ST-LINK's virtual COM port. */
#define BOARD_UART_BAUD 115200u

#endif
