import Foundation

/// What a customer wants to buy.
@MainActor
public final class Cart: ObservableObject {
    @Published private(set) var items: [Item] = []

    public init(items: [Item] = []) {
        self.items = items
    }

    deinit { print("gone") }

    /// The price of everything.
    public func total(rate: Double = 0.19) -> Double {
        items.reduce(0) { $0 + $1.price } * (1 + rate)
    }

    static func load(from url: URL) async throws -> Cart { Cart() }

    subscript(index: Int) -> Item { items[index] }
}

public struct Item: Codable {
    var price: Double

    enum CodingKeys: String, CodingKey { case price }
}

protocol Priced {
    func price() -> Double
}

extension Item: Priced {
    func price() -> Double { price }
}

enum Failure: Error {
    case empty
    var text: String { "empty" }
}

typealias Items = [Item]

func main() async { }

actor Store { func save() {} }
