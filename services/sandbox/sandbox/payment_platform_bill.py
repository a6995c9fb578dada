"""The receipt that GET_BILL answers: one small page of PDF 1.4, written by hand."""

from sandbox.payment_platform_store import Payment


def bill(payment: Payment) -> bytes:
    """A valid PDF with the facts of the payment, in ASCII (Helvetica knows no Vietnamese letters)."""
    lines = (
        "BIEN LAI THANH TOAN (THU NGHIEM)",
        f"Ho so: {payment.dossier_code}",
        f"Ma tham chieu: {payment.reference}",
        f"Ma giao dich: {payment.transaction_id}",
        f"So tien: {payment.amount_vnd} VND",
        f"Thoi gian: {payment.transaction_time}",
    )
    shown = " ".join(f"({_escaped(line)}) Tj T*" for line in lines)
    text = f"BT /F1 12 Tf 18 TL 60 780 Td {shown} ET".encode("ascii", "replace")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    document = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(document)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
